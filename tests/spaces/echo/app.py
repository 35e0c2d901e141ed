"""A Space with an interface: what comes in goes out, through the farm."""

import os
import subprocess
import time

import gradio as gr

import spaces


@spaces.GPU
def echo(text):
    return f"{text} from process {os.getpid()}"


@spaces.GPU(duration=600)
def wait(seconds):
    time.sleep(seconds)
    return "done"


@spaces.GPU(duration=600)
def daemon():
    """Start a process that leaves the group and loses its parent, and compute on."""
    subprocess.run(["setsid", "-f", "sleep", "6000"], check=True)
    time.sleep(600)


@spaces.GPU
def variables():
    return dict(os.environ)


def all_variables():
    return [dict(os.environ), AT_IMPORT, variables()]


AT_IMPORT = dict(os.environ)

with gr.Blocks() as demo:
    text = gr.Textbox()
    answer = gr.Textbox()
    gr.Button("Echo").click(echo, text, answer, api_name="echo")
    gr.Button("Wait").click(wait, gr.Number(5), answer, api_name="wait")
    gr.Button("Daemon").click(daemon, None, None, api_name="daemon")
    gr.Button("Variables").click(all_variables, None, gr.JSON(), api_name="variables")

demo.launch()
