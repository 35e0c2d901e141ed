"""A page with events of every kind, which answer with and without a farm alike: each has a name in the API."""

import asyncio
import dataclasses
import functools

import gradio as gr
import numpy as np
import pandas as pd
from PIL import Image

import spaces


def marked(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return f"<{function(*args, **kwargs)}>"

    return wrapper


@spaces.GPU
def shout(text):
    return text.upper()


@spaces.GPU
def spell(text):
    for end in range(len(text)):
        yield text[: end + 1]
    return "spelled"


@spaces.GPU
async def later(text):
    await asyncio.sleep(0)
    return f"later {text}"


@spaces.GPU
async def spell_later(text):
    for letter in text:
        yield letter


@spaces.GPU
def refuse(text):
    raise gr.Error(f"no {text}", title="Refused")


@spaces.GPU
def break_off(text):
    yield text
    raise ValueError(f"no more {text}")


@spaces.GPU
def nothing(text):
    return
    yield


@marked
@spaces.GPU
def shout_marked(text):
    return text.upper()


@spaces.GPU
@marked
def marked_inside(text):
    return text.upper()


@spaces.GPU
def who(text, request: gr.Request, profile: gr.OAuthProfile | None, progress=gr.Progress()):
    progress(0.5)
    return f"{text} {type(request).__name__} {bool(request.client.host)} {profile} {type(progress).__name__}"


@spaces.GPU
def several(text):
    return text, 3, {"a": [1, None]}


@spaces.GPU
def by_component(text):
    return {number: 5, out: text}


@spaces.GPU
def update(text):
    return gr.Textbox(value=text, lines=3)


@spaces.GPU
def skip(text):
    return gr.skip()


@spaces.GPU
def batched(texts):
    return [[text.title() for text in texts]]


@spaces.GPU
def paint(text):
    return Image.new("RGB", (4, 4), "red")


@spaces.GPU
def pixels(text):
    return np.full((4, 4, 3), 7, dtype=np.uint8)


@spaces.GPU
def table(text):
    return pd.DataFrame({"a": [1, 2], "b": [text, None]})


@spaces.GPU
def sound(text):
    return 16000, np.arange(1600, dtype=np.int16)


@spaces.GPU
def scores(text):
    return {text: 0.9, "other": 0.1}


@spaces.GPU
def describe(value):
    return f"{type(value).__name__} {value}"[:200]


@dataclasses.dataclass
class Count:
    calls: int = 0


@spaces.GPU
def count(text, state):
    state.calls += 1
    return f"{text} {state.calls}", state


@spaces.GPU
def greet(name: str, times: int = 2, loud: bool = False) -> tuple[str, int]:
    return name * times, len(name)


class Choir:
    end = "!"

    @spaces.GPU
    def sing(self, text):
        return text + self.end

    @spaces.GPU
    def hum(self, text):
        yield from (text, self.end)

    def __call__(self, text):
        return self.sing(text) + self.end


choir = Choir()


def first(text):
    return next(spell(text))


def caught(text):
    try:
        return refuse(text)
    except gr.Error as error:
        return f"caught {error.message}"


async def both(text):
    return " ".join(await asyncio.gather(later(text), later("too")))


def all_letters(text):
    return str(list(zip(spell(text), spell("abc"), strict=False)))


@spaces.GPU
def reply(message, history):
    return f"{message} after {len(history)}"


@spaces.GPU
def reply_by_letter(message, history):
    yield from (message[:1], message)


@spaces.GPU
async def reply_later(message, history, system):
    yield f"{system}: {message}"


@spaces.GPU
def reply_twice(message, history):
    return [gr.ChatMessage(role="assistant", content=message, metadata={"title": "thought"}), message]


INPUTS = {
    "slider": gr.Slider(0, 10, 3, render=False),
    "checkbox": gr.Checkbox(True, render=False),
    "group": gr.CheckboxGroup(["a", "b"], value=["a"], render=False),
    "index": gr.Radio(["a", "b"], value="b", type="index", render=False),
    "choices": gr.Dropdown(["a", "b"], value=["a"], multiselect=True, render=False),
    "data": gr.JSON({"a": 1}, render=False),
    "precise": gr.Number(3, precision=0, render=False),
    "frame": gr.Dataframe([[1, "a"]], headers=["x", "y"], render=False),
    "chat": gr.Chatbot([{"role": "user", "content": "u"}], render=False),
}

with gr.Blocks() as demo:
    text, out, number, state = gr.Textbox("hello"), gr.Textbox(), gr.Number(), gr.State(Count())

    def event(function, inputs=text, outputs=out, name=None, **options):
        gr.Button().click(function, inputs, outputs, api_name=name or function.__name__, **options)

    for function in (shout, spell, later, spell_later, refuse, break_off, nothing, shout_marked, marked_inside, who):
        event(function)
    for function in (update, skip, choir.sing, choir.hum, first, caught, both, all_letters):
        event(function)
    event(choir, name="choir")
    event(functools.partial(choir.sing), name="partial")
    event(lambda text: shout(text), name="by_lambda")
    event(shout, name="unqueued", queue=False)
    event(both, name="unqueued_later", queue=False)
    event(shout, name="one_at_a_time", concurrency_limit=1)
    event(shout, name="with_others", concurrency_id="shared", concurrency_limit=2)
    event(batched, batch=True, max_batch_size=4)
    event(several, outputs=[out, number, gr.JSON()])
    event(by_component, outputs=[out, number])
    event(count, [text, state], [out, state])
    for function, output in (
        (paint, gr.Image(format="png")),
        (pixels, gr.Image(format="png")),
        (table, gr.Dataframe()),
        (sound, gr.Audio()),
        (scores, gr.Label()),
    ):
        event(function, outputs=output)
    for name, component in INPUTS.items():
        component.render()
        event(describe, component, name=f"in_{name}")
    gr.api(greet, api_name="greet")

with demo.route("Interfaces", "/interfaces"):
    gr.Interface(shout, "text", "text", api_name="interface", flagging_mode="never")
    gr.Interface(spell, "text", "text", api_name="live", live=True, flagging_mode="never")
    gr.Interface(lambda: shout("made"), None, "text", api_name="made", flagging_mode="never")

with demo.route("Chats", "/chats"):
    gr.ChatInterface(reply, api_name="chat")
    gr.ChatInterface(reply_by_letter, api_name="chat_by_letter")
    gr.ChatInterface(reply_later, additional_inputs=gr.Textbox("be brief"), api_name="chat_later")
    gr.ChatInterface(reply_twice, api_name="chat_twice")

if __name__ == "__main__":
    demo.launch(show_error=True)
