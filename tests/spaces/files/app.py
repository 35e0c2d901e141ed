"""A Space that works with files, and names them in all the ways that Spaces do."""

import json
import os
import tempfile
import time
import uuid
from pathlib import Path

import gradio as gr
import spaces

TRIALS = "/tmp/zerofarm-trials"
os.makedirs(TRIALS, exist_ok=True)


@spaces.GPU
def paint(trial_id, text):
    """Nothing but an identifier crosses; the path is built here and there."""
    with open(f"{TRIALS}/{trial_id}.txt", "w") as file:
        file.write(text.upper())


def try_out(text):
    trial_id = uuid.uuid4().hex
    paint(trial_id, text)
    trial = Path(f"{TRIALS}/{trial_id}.txt")
    try:
        return trial.read_text()
    finally:
        trial.unlink()


@spaces.GPU
def everywhere(upload):
    """Files in the temporary folder, in the working directory and beside the upload, in a list, JSON and HTML."""
    text = Path(upload).read_text()
    named = tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False)  # noqa: SIM115 - as authors do
    unique, here, beside = f"/tmp/{uuid.uuid4()}.txt", "here.txt", Path(upload).with_name("beside.txt")
    for place, path in (("named", named.name), ("unique", unique), ("here", here), ("beside", beside)):
        Path(path).write_text(f"{place} {text}")
    html = f'<a href="/gradio_api/file={unique}">it</a>'
    return [named.name, unique, here, str(beside)], json.dumps({"files": [{"path": unique}]}), html


@spaces.GPU
def in_pairs(text):
    """Pairs of a path and a caption, each there by the time that it is yielded."""
    pairs = []
    for number in range(3):
        path = f"/tmp/{uuid.uuid4()}.txt"
        Path(path).write_text(f"{text} {number}")
        pairs.append((path, f"caption {number}"))
        yield pairs


def read_pairs(text):
    for pairs in in_pairs(text):
        yield ", ".join(f"{caption}: {Path(path).read_text()}" for path, caption in pairs)
    for path, _ in pairs:
        os.unlink(path)


def seconds_in(upload, *_):
    return int(Path(upload).read_text())


@spaces.GPU(duration=seconds_in)
def nap(upload, seconds):
    time.sleep(float(seconds))
    return f"napped, and was allowed {Path(upload).read_text()} s"


class Recording:
    """Takes its file along when it dies."""

    def __init__(self, text):
        self.path = f"/tmp/{uuid.uuid4()}.wav"
        Path(self.path).write_text(text)

    def __del__(self):
        Path(self.path).unlink(missing_ok=True)


@spaces.GPU
def record(text):
    return {"recording": Recording(text)}


def transcript(text):
    recording = record(text)["recording"]
    words = Path(recording.path).read_text()
    record("another one")  # the next task of the same child
    return f"{words}, {'kept' if os.path.exists(recording.path) else 'gone'}"


with gr.Blocks() as demo:
    text, seconds, upload, out = gr.Textbox(), gr.Number(), gr.File(), gr.Textbox()
    files, paths, html = gr.File(file_count="multiple"), gr.Textbox(), gr.HTML()
    gr.Button().click(try_out, text, out, api_name="try_out")
    gr.Button().click(everywhere, upload, [files, paths, html], api_name="everywhere")
    gr.Button().click(read_pairs, text, out, api_name="read_pairs")
    gr.Button().click(nap, [upload, seconds], out, api_name="nap")
    gr.Button().click(transcript, text, out, api_name="transcript")

demo.launch()
