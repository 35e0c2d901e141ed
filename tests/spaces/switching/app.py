"""A Space that switches adapters: a flag says what its pipeline has loaded. And it keeps a talk in `gr.State`."""

import os
import time

import gradio as gr
import spaces


class Pipeline:
    adapter = "none"

    def load(self, adapter, pause):
        self.adapter = "half"
        time.sleep(pause)
        self.adapter = adapter


pipe = Pipeline()
loaded = "none"


@spaces.GPU(duration=60)
def draw(adapter, pause):
    global loaded
    if loaded != adapter:
        loaded = adapter  # too early, as in many Spaces: whoever is stopped in the next line leaves a lie behind
        pipe.load(adapter, float(pause))
    return f"{pipe.adapter} {os.getpid()}"


@spaces.GPU(duration=1)
def hurry(adapter, pause):
    return draw(adapter, pause)


@spaces.GPU
def converse(text, history):
    history["turns"].append(text)
    history["pixels"] = bytes(reversed(history.get("pixels") or bytes([7]) + bytes(3_000_000)))
    return f"{len(history['turns'])} turns, {len(history['pixels'])} bytes, {history['pixels'][-1]}", history


@spaces.GPU
def leave():
    raise SystemExit(3)


with gr.Blocks() as demo:
    adapter, pause, out = gr.Textbox(), gr.Number(0), gr.Textbox()
    history = gr.State({"turns": []})
    gr.Button().click(draw, [adapter, pause], out, api_name="draw")
    gr.Button().click(hurry, [adapter, pause], out, api_name="hurry")
    gr.Button().click(converse, [adapter, history], [out, history], api_name="converse")
    gr.Button().click(leave, None, out, api_name="leave")

demo.launch()
