"""A Space with much output: cumulative text from a streamer's thread, progress of all kinds, toasts and an error."""

import inspect
import os
import queue
import threading
import time

import gradio as gr
import spaces
from tqdm import tqdm


class Streamer:
    """As `transformers.TextIteratorStreamer`: a thread puts, the function iterates."""

    def __init__(self):
        self.queue = queue.Queue()

    def __iter__(self):
        return iter(self.queue.get, None)


def generate(streamer, tokens, pause):
    for number in range(tokens):
        streamer.queue.put(f"{number} ")
        time.sleep(pause)
    streamer.queue.put(None)


@spaces.GPU
def chat(tokens, pause):
    streamer = Streamer()
    threading.Thread(target=generate, args=(streamer, int(tokens), pause), name="generate", daemon=True).start()
    text = ""
    for word in streamer:
        text += word
        yield text


@spaces.GPU
def who_is_there():
    return f"{sum(thread.name == 'generate' for thread in threading.enumerate())} threads in {os.getpid()}"


@spaces.GPU
def render(steps, progress=gr.Progress(track_tqdm=True)):
    def on_step(step):
        progress((step, int(steps)), desc=f"step {step}", unit="steps")
        time.sleep(0.3)  # a page is told of the latest progress, every so often
        time.sleep(0.3)  # a page is told of the latest progress, every so often

    for step in range(int(steps)):
        on_step(step)
    for _ in tqdm(range(3), desc="tracked"):
        time.sleep(0.1)
    for _ in progress.tqdm(range(3), desc="wrapped"):
        time.sleep(0.1)
    if "title" not in inspect.signature(gr.Info).parameters:  # Gradio 4
        gr.Info("it goes on", duration=3)
        gr.Warning("it is late", visible=False)
        raise gr.Error("too dark", duration=7)
    gr.Info("it goes on", title="Renderer", duration=3)
    gr.Warning("it is late", visible=False)
    gr.Success("it is done", title="Finished", duration=None)
    raise gr.Error("too dark", title="Photographer", duration=7, visible=True)


with gr.Blocks() as demo:
    number, pause, out = gr.Number(5), gr.Number(0), gr.Textbox()
    gr.Button().click(chat, [number, pause], out, api_name="chat")
    gr.Button().click(who_is_there, None, out, api_name="who_is_there")
    gr.Button().click(render, number, out, api_name="render")

demo.launch()
