"""A Space whose script ends well in the web process and badly in the worker."""

import os

import gradio as gr
import spaces

if os.environ["ZEROFARM_ROLE"] == "worker":
    raise RuntimeError("the weights are on another disk")


@spaces.GPU
def shout(text):
    return text.upper()


with gr.Blocks() as demo:
    text, out = gr.Textbox(), gr.Textbox(label="out")
    gr.Button("Shout").click(shout, text, out, api_name="shout")

demo.launch()
