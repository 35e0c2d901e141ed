"""A Space that uses all that it may: files beside its script and in /tmp, its home, large values, processes."""

import os
import subprocess
import tempfile
from pathlib import Path

import gradio as gr
import numpy as np

import spaces

HERE = Path(__file__).parent


@spaces.GPU
def doubled(values):
    return values * 2


def large():
    """Larger than any message: both values are files in shared memory."""
    values = np.ones((1024, 1024))
    return str(float(doubled(values).sum()))


@spaces.GPU
def read_and_answer(path):
    (HERE / "beside").write_text("beside")
    answer = Path(tempfile.mkdtemp()) / "answer"
    answer.write_text(Path(path).read_text().upper())
    return str(answer)


@spaces.GPU
def read(path):
    return Path(path).read_text()


def files():
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        file.write("told")
    (Path.home() / ".cache").mkdir(exist_ok=True)
    (Path.home() / ".cache" / "kept").write_text("kept")
    answer = Path(read_and_answer(file.name)).read_text()
    return f"{answer} {(HERE / 'beside').read_text()} {Path.home().joinpath('.cache', 'kept').read_text()}"


@spaces.GPU
def who():
    return f"{os.getuid()} {subprocess.check_output(['id', '-u'], text=True).strip()}"


def users():
    return f"{os.getuid()} {who()}"


with gr.Blocks() as demo:
    answer = gr.Textbox()
    for each in (large, files, users):
        gr.Button(each.__name__).click(each, None, answer, api_name=each.__name__)

demo.launch()
