"""A Space whose tasks do not get as far as a GPU. Its author shows no errors: these concern the visitor."""

import gradio as gr
import spaces


@spaces.GPU
def shout(text):
    return text.upper()


@spaces.GPU(size="xlarge")
def shout_on_a_whole_gpu(text):
    return text.upper()


with gr.Blocks() as demo:
    text, out = gr.Textbox(), gr.Textbox(label="out")
    gr.Button("Shout").click(shout, text, out, api_name="shout")
    gr.Button("Shout louder").click(shout_on_a_whole_gpu, text, out, api_name="shout_on_a_whole_gpu")

demo.launch()
