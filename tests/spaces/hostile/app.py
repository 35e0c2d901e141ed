"""A Space that tries to harm others: while it is imported, in its page, and in a GPU function."""

import json
import os
from pathlib import Path

import gradio as gr
from attempts import LIMITS, tried

import spaces

AT_IMPORT = tried(json.loads(Path("targets.json").read_text()))


def page(targets):
    return json.dumps(tried(json.loads(targets)))


@spaces.GPU
def gpu(targets):
    return json.dumps(tried(json.loads(targets)))


def variables_of_page():
    at_start = Path("/proc/self/environ").read_bytes().decode().split("\0")
    return json.dumps(sorted({*os.environ, *(each.partition("=")[0] for each in at_start)}))


@spaces.GPU
def variables_of_gpu():
    return variables_of_page()


@spaces.GPU
def limits():
    draft = Path("limits.draft")
    draft.write_text(json.dumps(tried({}, LIMITS)))
    draft.rename("limits.json")


@spaces.GPU
def zygote():
    return json.dumps(AT_IMPORT)


with gr.Blocks() as demo:
    targets, answer = gr.Textbox(), gr.Textbox()
    gr.Button("Page").click(page, targets, answer, api_name="page")
    gr.Button("GPU").click(gpu, targets, answer, api_name="gpu")
    gr.Button("Limits").click(limits, None, None, api_name="limits")
    gr.Button("Import").click(lambda: json.dumps(AT_IMPORT), None, answer, api_name="import_of_page")
    gr.Button("Variables").click(variables_of_page, None, answer, api_name="variables_of_page")
    gr.Button("Variables").click(variables_of_gpu, None, answer, api_name="variables_of_gpu")
    gr.Button("Zygote").click(zygote, None, answer, api_name="import_of_zygote")

demo.launch()
