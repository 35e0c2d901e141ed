"""A Space that calls its GPU functions while it is imported: a warm-up, one that fails, and examples cached ahead.

Options of its launch have no names.
"""

import inspect

import gradio as gr
import spaces

CALLS = []


@spaces.GPU
def shout(text):
    CALLS.append(text)
    return text.upper()


@spaces.GPU
def fail():
    raise ValueError("cold")


@spaces.GPU
def letters(text):
    for end in range(1, len(text) + 1):
        yield text[:end]


WARM = shout("warm")
SPELLED = list(letters("abc"))
try:
    fail()
except ValueError as error:
    REASON = str(error)


@spaces.GPU
def remember(text):
    return f"{text} {WARM} {SPELLED} {REASON} {CALLS}"


with gr.Blocks() as demo:
    box, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(remember, box, out, api_name="remember")
    # Gradio 4 knows no other way, and has no word for this one.
    eagerly = {"cache_mode": "eager"} if "cache_mode" in inspect.signature(gr.Examples).parameters else {}
    gr.Examples(["one", "two"], box, out, shout, cache_examples=True, api_name="examples", **eagerly)

demo.launch(None, True, False)
