"""What a page does when the state of a visitor is deleted."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tests.end_to_end.pages import called
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until

SCRIPT = """
import os
import time
from pathlib import Path

import gradio as gr
import spaces

folder = Path(os.environ["TEST_FOLDER"])

@spaces.GPU(duration=600)
def clean_up(name):
    (folder / f"{name}-begun").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    (folder / f"{name}-deleted").touch()

def fail(name):
    raise ValueError(f"{name} cannot be deleted")

def note(name):
    (folder / f"{name}-noted").touch()

with gr.Blocks() as demo:
    box = gr.Textbox()
    states = [gr.State(time_to_live=1, delete_callback=each) for each in (fail, clean_up, note)]
    gr.Button().click(lambda name: [name] * 3, box, states, api_name="keep")

demo.launch()
"""


def test_deletion_neither_stops_the_page_nor_ends_with_one_that_fails(
    own_farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page answered nobody until the task had ended, and one error ended deletion for all visitors."""
    monkeypatch.setenv("TEST_FOLDER", str(tmp_path))
    script = tmp_path / "app.py"
    script.write_text(SCRIPT)
    own_farm.start_worker()
    url = own_farm.start_web("states", script)
    called(url, "keep", "ada")
    wait_until((tmp_path / "ada-begun").exists)
    with urllib.request.urlopen(f"{url}/config", timeout=PATIENCE) as answer:
        assert answer.status == 200
    called(url, "keep", "grace")
    wait_until((tmp_path / "grace-noted").exists)
    (tmp_path / "go").touch()
    wait_until((tmp_path / "ada-deleted").exists)
    wait_until((tmp_path / "grace-deleted").exists)
    log = (own_farm.folder / "web-states.log").read_text()
    assert "a delete_callback of gr.State failed" in log
    assert "ValueError: ada cannot be deleted" in log
