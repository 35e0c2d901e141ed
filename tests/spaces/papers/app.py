"""A Space that hands files around: named in arguments and results, and named nowhere but by an identifier."""

import os
import tempfile
import uuid

import gradio as gr
import spaces

TRIALS = tempfile.gettempdir() + "/trials"
os.makedirs(TRIALS, exist_ok=True)


@spaces.GPU
def stamp(path):
    with open(path) as file:
        text = file.read()
    out = f"{tempfile.gettempdir()}/{uuid.uuid4()}.txt"
    with open(out, "w") as file:
        file.write(f"{text} stamped")
    return out


@spaces.GPU
def review(trial):
    with open(f"{TRIALS}/{trial}.txt") as file:
        text = file.read()
    os.makedirs("reviews", exist_ok=True)
    with open(f"reviews/{trial}.txt", "w") as file:
        file.write(f"{text} reviewed")
    return os.path.exists(__file__)


@spaces.GPU
def pages(path):
    for number in range(2):
        out = f"{path}.{number}"
        with open(out, "w") as file:
            file.write(f"page {number}")
        yield out


def hand_in(text):
    trial = uuid.uuid4().hex
    with open(f"{TRIALS}/{trial}.txt", "w") as file:
        file.write(text)
    found = review(trial)
    with open(f"reviews/{trial}.txt") as file:
        return f"{file.read()} {found}"


def read_pages(path):
    return [open(page).read() for page in pages(path)]


with gr.Blocks() as demo:
    upload, download = gr.File(), gr.File()
    text, out = gr.Textbox(), gr.JSON()
    gr.Button("Stamp").click(stamp, upload, download, api_name="stamp")
    gr.Button("Hand in").click(hand_in, text, text, api_name="hand_in")
    gr.Button("Pages").click(read_pages, upload, out, api_name="pages")

demo.launch()
