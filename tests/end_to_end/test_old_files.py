"""Files of visitors are removed from a page's folder when nobody has used them for long; those of the script stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.harness import configured_farm
from tests.waiting import wait_until

#: Seconds for which files are kept: a call must begin within them after its upload.
KEEP = 20

SPACE = """
import os
import time

import gradio as gr
import spaces

with open("example.txt", "w") as file:
    file.write("an example")


def where(path):
    return path


@spaces.GPU
def read_later(path, signal):
    while os.path.exists(signal):
        time.sleep(0.05)
    with open(path) as file:
        return file.read()


with gr.Blocks() as demo:
    upload, signal, answer = gr.File(), gr.Textbox(), gr.Textbox()
    shown = gr.File("example.txt")
    gr.Button("Where").click(where, upload, answer, api_name="where")
    gr.Button("Read later").click(read_later, [upload, signal], answer, api_name="read_later")
    gr.Examples([["example.txt"]], upload)

demo.launch()
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a Space, on a farm that keeps files of visitors for some seconds."""
    folder = tmp_path_factory.mktemp("old")
    (folder / "letters").mkdir()
    (folder / "letters" / "app.py").write_text(SPACE)
    with configured_farm(folder, f"[files]\nkeep = {KEEP}\n") as farm:
        farm.start_worker()
        yield farm.start_web("letters", folder / "letters" / "app.py")


@pytest.fixture
def visitor(page: str) -> Iterator[Client]:
    with closing(Client(page, verbose=False)) as client:
        yield client


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_an_upload_that_nobody_uses_is_removed_but_none_of_an_open_call(visitor: Client, tmp_path: Path) -> None:
    signal = written(tmp_path / "signal", "")
    called = visitor.submit(handle_file(written(tmp_path / "used.txt", "used")), str(signal), api_name="/read_later")
    path = Path(visitor.predict(handle_file(written(tmp_path / "unused.txt", "unused")), api_name="/where"))
    wait_until(lambda: not path.exists())
    wait_until(lambda: not path.parent.exists())
    signal.unlink()
    assert called.result(60) == "used"
    used = next(path.parents[1].rglob("used.txt"))
    wait_until(lambda: not used.exists())


def test_files_that_the_script_shows_stay(visitor: Client, page: str, tmp_path: Path) -> None:
    path = Path(visitor.predict(handle_file(written(tmp_path / "unused.txt", "another")), api_name="/where"))
    wait_until(lambda: not path.exists())
    files = [each for each in path.parents[1].rglob("*") if each.is_file()]
    assert [each.name for each in files] == ["example.txt"]
    prefix = visitor.config.get("api_prefix", "")  # Gradio 4 has none
    assert httpx.get(f"{page}{prefix}/file={files[0]}").text == "an example"
    assert visitor.predict(handle_file(str(written(tmp_path / "new.txt", "new"))), api_name="/where")
