"""A Space that its author wanted to run at home too, and so put something of their own in the place of `spaces`."""

import os
import sys
import types

import gradio as gr

sys.modules["spaces"] = spaces = types.SimpleNamespace(GPU=lambda function: function)


@spaces.GPU
def echo(text):
    return f"{text} from process {os.getpid()}"


with gr.Blocks() as demo:
    text, out = gr.Textbox(), gr.Textbox(label="out")
    gr.Button("Echo").click(echo, text, out, api_name="echo")

demo.launch()
