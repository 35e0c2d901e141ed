"""A Space without `launch()`: its page is mounted into an app of its own, beside a route that calls a GPU function.

It serves the app by its name, which runs the script a second time, and asks for a reloader.
"""

import gradio as gr
import uvicorn
from fastapi import FastAPI
from PIL import Image

import spaces

app = FastAPI()


@spaces.GPU
def shout(text):
    return text.upper()


@spaces.GPU
def paint(colour):
    return Image.new("RGB", (8, 8), colour)


@app.get("/shout")
def shout_route(text: str):
    return {"said": shout(text)}


with gr.Blocks() as demo:
    box, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(shout, box, out, api_name="shout")
    gr.Button().click(paint, box, gr.Image(), api_name="paint")

app = gr.mount_gradio_app(app, demo, path="/ui")

if __name__ == "__main__":
    uvicorn.run("app:app", host="0.0.0.0", port=7860, reload=True)
