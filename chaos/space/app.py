"""A Space whose functions always succeed: whatever error its callers read, its author is not to blame."""

import os
import time

import gradio as gr

import spaces


def note(notes, token):
    """One line for each execution; a short line is appended as a whole."""
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, f"{token}\n".encode())
    os.close(file)


@spaces.GPU(duration=60)
def work(token, seconds, notes):
    note(notes, token)
    time.sleep(seconds)
    return token


@spaces.GPU(duration=60)
def stream(token, seconds, notes):
    note(notes, token)
    for number in range(10):
        time.sleep(seconds / 10)
        yield f"{token} {number}"


@spaces.GPU(duration=60)
def turn(token, text, notes):
    """Its arguments and its value are too large for a message."""
    note(notes, token)
    return text[::-1]


with gr.Blocks() as demo:
    token, seconds, text, notes, out = gr.Textbox(), gr.Number(0.1), gr.Textbox(), gr.Textbox(), gr.Textbox()
    gr.Button("Work").click(work, [token, seconds, notes], out, api_name="work", concurrency_limit=None)
    gr.Button("Stream").click(stream, [token, seconds, notes], out, api_name="stream", concurrency_limit=None)
    gr.Button("Turn").click(turn, [token, text, notes], out, api_name="turn", concurrency_limit=None)

demo.launch()
