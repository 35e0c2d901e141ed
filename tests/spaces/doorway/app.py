"""A Space that is used in every way that crosses the farm's front door: streams, files both ways, its caller, tools."""

import hashlib
import tempfile
import time

import gradio as gr
import spaces


@spaces.GPU
def count(to):
    for number in range(int(to)):
        time.sleep(0.05)
        yield str(number)


@spaces.GPU(duration=10)
def shout(text: str) -> str:
    """Say it loudly."""
    return text.upper()


def digest(upload):
    with open(upload, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make(size):
    with tempfile.NamedTemporaryFile("wb", suffix=".bin", delete=False) as file:
        file.write(bytes(range(256)) * (int(size) // 256))
    return file.name


def caller(request: gr.Request):
    return request.client.host


with gr.Blocks() as demo:
    number, text, out = gr.Number(5), gr.Textbox(), gr.Textbox(label="out")
    given, made = gr.File(), gr.File()
    gr.Button("Count").click(count, number, out, api_name="count")
    gr.Button("Shout").click(shout, text, out, api_name="shout")
    gr.Button("Digest").click(digest, given, out, api_name="digest")
    gr.Button("Make").click(make, number, made, api_name="make")
    gr.Button("Caller").click(caller, None, out, api_name="caller")

if __name__ == "__main__":
    demo.launch(mcp_server=True)
