"""A Space whose GPU function streams values that are too large for a message; its page shows their sizes."""

import gradio as gr
import spaces


@spaces.GPU(duration=60)
def frames(n):
    for number in range(n):
        yield bytes([number % 256]) * 2**20


def sizes(n):
    for frame in frames(int(n)):
        yield str(len(frame))


with gr.Blocks() as demo:
    number, out = gr.Number(5), gr.Textbox()
    gr.Button().click(sizes, number, out, api_name="sizes")

demo.launch()
