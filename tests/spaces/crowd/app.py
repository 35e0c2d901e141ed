"""A Space that many visitors press at once: by a GPU function itself, and by a handler that calls one."""

import os
import time

import gradio as gr
import spaces


@spaces.GPU
def shout(text):
    return text.upper()


@spaces.GPU
def spell(text):
    yield from text


def aloud(text):
    return shout(text) + "!"


def gather(ends):
    """Runs until all these files are there: as long as a test needs it."""
    while not all(os.path.exists(end) for end in ends):
        time.sleep(0.01)
    return [[f"one of {len(ends)}"] * len(ends)]


with gr.Blocks() as demo:
    text, out = gr.Textbox(), gr.Textbox(label="out")
    gr.Button("Shout").click(shout, text, out, api_name="shout")
    gr.Button("Aloud").click(aloud, text, out, api_name="aloud")
    gr.Button("Spell").click(spell, text, out, api_name="spell")
    batched = spaces.GPU(duration=600)(gather)
    for limit in ("default", 2):
        options = {"max_batch_size": 4, "concurrency_limit": limit, "concurrency_id": f"gather {limit}"}
        gr.Button("Gather").click(batched, text, out, api_name=f"gather_{limit}", batch=True, **options)

demo.launch()
