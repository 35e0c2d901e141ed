"""Gradio makes the app of a page once, and a script that asks for it earlier gets it as before."""

from __future__ import annotations

from pathlib import Path

from spaces_workers.setup.ports import Ports
from tests.unit.test_launch import launched

COUNTED = """
import spaces, gradio as gr
from gradio.routes import App

@spaces.GPU
def f(): pass

made, plain = [], App.configure_app
def configure(app, page):
    made.append(app)
    plain(app, page)
App.configure_app = configure
with gr.Blocks() as demo:
    gr.Textbox()
demo.queue(max_size=3)
"""

LAUNCHED = """
_, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
assert made == [demo.app] == [demo.server_app]
print(len(demo.app.routes) > 0)
"""

ASKED_FOR = """
from fastapi.testclient import TestClient

assert made == []
early = demo.app
assert made == [early] and early is demo.app and isinstance(early, App) and hasattr(demo, "app")
assert TestClient(early).get("/config").json()["components"]
demo.queue()
assert demo.app is not early
demo.app = early
assert demo.app is early and not hasattr(gr.Blocks, "app")
demo.launch(prevent_thread_lock=True, quiet=True)
print(demo.app is not early and demo.app is made[-1])
"""


def test_a_launch_makes_one_app(tmp_path: Path) -> None:
    """It made one when the page was begun, when it was complete, when its queue was set, and at the launch."""
    assert run(tmp_path, COUNTED + LAUNCHED) == "True\n"


def test_a_script_gets_the_app_that_it_asks_for_before_the_launch(tmp_path: Path) -> None:
    assert run(tmp_path, COUNTED + ASKED_FOR) == "True\n"


def run(folder: Path, script: str) -> str:
    """What a script prints in a web process."""
    return launched(folder, script, "127.0.0.1", Ports("127.0.0.1").after(0)).stdout
