"""Small Spaces that a test writes, changes and breaks."""

from __future__ import annotations

from pathlib import Path

from gradio_client import Client

_APP = """
import os
import gradio as gr
import spaces

{before}

@spaces.GPU(duration=20)
def say(text):
    return f"{{text}} says {version}"

@spaces.GPU(duration=20)
def variable(name):
    return os.environ.get(name, "none")[::-1]

def of_page(name):
    return os.environ.get(name, "none")[::-1]

with gr.Blocks() as demo:
    text, answer = gr.Textbox(), gr.Textbox()
    gr.Button("Say").click(say, text, answer, api_name="say")
    gr.Button("Variable").click(variable, text, answer, api_name="variable")
    gr.Button("Of page").click(of_page, text, answer, api_name="of_page")

demo.launch()
"""


def write_space(folder: Path, version: str, before: str = "") -> Path:
    """A Space that says its version; `before` is code that runs before all else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(_APP.format(version=version, before=before))
    return folder


def said(url: str) -> str:
    """What a new visitor of the page hears."""
    client = Client(url, verbose=False)
    try:
        return str(client.predict("ada", api_name="/say"))
    finally:
        client.close()
