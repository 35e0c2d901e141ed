"""A Space whose handlers and GPU functions change globals, each in its own process."""

import threading

import gradio as gr
import presets
import spaces
from presets import WORDS

STYLE = "plain"
SETTINGS = {"steps": 4}
JOB = None
LOADED = None
COUNT = 0


class Studio:
    def __init__(self):
        self.lock = threading.Lock()
        self.canvas = "white"

    @spaces.GPU
    def paint(self):
        return f"{self.canvas} {STYLE}"


STUDIO = Studio()


def described():
    return f"{STYLE} {SETTINGS['steps']} {presets.LEVEL} {' '.join(WORDS)} {' '.join(presets.WORDS)}"


@spaces.GPU
def draw():
    return described()


@spaces.GPU
def load(step):
    """Keeps what it has loaded, as Spaces keep an adapter."""
    global LOADED
    before, LOADED = LOADED, step
    return str(before)


@spaces.GPU
def count():
    global COUNT
    COUNT += 1
    return str(COUNT)


@spaces.GPU
def busy():
    return str(JOB is not None)


def choose(style, steps, level, word):
    global STYLE
    STYLE = style
    SETTINGS["steps"] = int(steps)
    presets.LEVEL = int(level)
    WORDS.append(word)
    return draw()


def prime(canvas):
    STUDIO.canvas = canvas
    return STUDIO.paint()


def preload(step):
    """The web process's own idea of what is loaded."""
    global LOADED
    LOADED = step
    return load("next")


def work():
    global JOB
    JOB = threading.Lock()
    return busy()


def counted():
    count()
    return str(COUNT)


with gr.Blocks() as demo:
    out = gr.Textbox()
    for function, parameters in (
        (draw, 0),
        (load, 1),
        (choose, 4),
        (prime, 1),
        (preload, 1),
        (work, 0),
        (counted, 0),
    ):
        inputs = [gr.Textbox() for _ in range(parameters)]
        gr.Button(function.__name__).click(function, inputs, out, api_name=function.__name__)

demo.launch()
