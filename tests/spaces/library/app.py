"""A Space that passes models around, and makes its GPU functions in every way that Python has."""

from functools import partial

import gradio as gr
import shapes
import spaces
from shapes import Model, Studio

MODELS = {"small": Model("small"), "large": Model("large")}
tokenizer = Model("tokenizer")
studio = Studio(MODELS["small"])


@spaces.GPU
def generate(model, tokenizer, text):
    known = model is MODELS[model.name] and tokenizer is globals()["tokenizer"]
    return f"{model.name} {text} {'itself' if known else 'a copy'}"


def by_name(name, text):
    return generate(MODELS[name], tokenizer, text)


def measure(width, height):
    return str(shapes.area(int(width), int(height))[0])


def volume(width, height, depth):
    return studio.volume(int(width), int(height), int(depth))


def scaled_by(factor):
    @spaces.GPU
    def scale(text):
        return text * factor

    return scale


def plainly(text):
    return f"plainly {text} on {spaces.role.current()}"


def late_by_name(text):
    return spaces.GPU(plainly)(text)


def late(text):
    model, times = MODELS["large"], [2]

    @spaces.GPU(duration=30)
    def words(left=1):
        yield f"{text} {model is MODELS['large']} {spaces.role.current()}"
        if left:
            times.append(left)
            yield from words(left - 1)

    return f"{' and '.join(words())} {times}"


SCALES = [scaled_by(factor) for factor in (1, 2, 3)]
LAMBDAS = {name: spaces.GPU(lambda text, name=name: f"{name} {text}") for name in ("first", "second")}

with gr.Blocks() as demo:
    boxes, out = [gr.Textbox() for _ in range(3)], gr.Textbox()

    @spaces.GPU
    def inside(text):
        return f"inside {text}"

    events = {
        "by_name": (by_name, 2),
        "bound": (partial(generate, MODELS["large"], tokenizer), 1),
        "decorated_partial": (spaces.GPU(partial(generate, MODELS["small"], tokenizer)), 1),
        "measure": (measure, 2),
        "volume": (volume, 3),
        "twice": (SCALES[1], 1),
        "thrice": (SCALES[2], 1),
        "first": (LAMBDAS["first"], 1),
        "second": (LAMBDAS["second"], 1),
        "inside": (inside, 1),
        "late": (late, 1),
        "late_by_name": (late_by_name, 1),
        "inline": (spaces.GPU(lambda text: f"inline {text}"), 1),
    }
    for name, (function, count) in events.items():
        gr.Button(name).click(function, boxes[:count], out, api_name=name)

demo.launch()
