"""A Space with a button for everything that a visitor can see of a task: results, streams, progress, toasts, errors."""

import os
import threading
import time

import gradio as gr
import spaces

LOCK = threading.Lock()


@spaces.GPU(duration=20)
def greet(name, progress=gr.Progress()):
    for step in range(3):
        progress((step, 3), desc=f"step {step}")
        time.sleep(0.3)
    gr.Info(f"greeting {name}")
    return f"Hello {name}"


@spaces.GPU(duration=20)
def tracked(n, progress=gr.Progress(track_tqdm=True)):
    import tqdm

    for _ in tqdm.tqdm(range(int(n)), desc="tracking"):
        time.sleep(0.2)
    return "tracked"


@spaces.GPU(duration=600)
def count(n, pause):
    for number in range(int(n)):
        yield str(number)
        time.sleep(pause)


@spaces.GPU
def refuse():
    raise gr.Error("too dark", duration=3)


@spaces.GPU
def fail():
    raise RuntimeError("a secret of the author's")


@spaces.GPU(duration=lambda seconds, note: seconds + 30)
def hold(seconds, note):
    with open(note, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(seconds)
    return "held"


@spaces.GPU(duration=600)
def hold_until(end, note):
    with open(note, "w") as file:
        file.write(str(os.getpid()))
    while not os.path.exists(end):
        time.sleep(0.01)
    return "held"


@spaces.GPU(duration=1)
def overrun():
    time.sleep(60)


@spaces.GPU(duration=10)
def dawdle():
    time.sleep(60)


@spaces.GPU
async def later(name):
    return f"later {name}"


def plain(name):
    return f"{greet(name)}!"


def with_lock():
    return greet(LOCK.__class__ and threading.Lock())


with gr.Blocks() as demo:
    name, number, pause = gr.Textbox("you"), gr.Number(5), gr.Number(0.1)
    note, end = gr.Textbox(visible=False), gr.Textbox(visible=False)
    out = gr.Textbox(label="out")
    greet_button, count_button, stop_button = gr.Button("Greet"), gr.Button("Count"), gr.Button("Stop")
    greet_button.click(greet, name, out, api_name="greet")
    counting = count_button.click(count, [number, pause], out, api_name="count")
    stop_button.click(None, cancels=[counting])
    for function, inputs in (
        (tracked, [number]),
        (refuse, []),
        (fail, []),
        (hold, [number, note]),
        (hold_until, [end, note]),
        (overrun, []),
        (dawdle, []),
        (later, [name]),
        (plain, [name]),
        (with_lock, []),
    ):
        gr.Button(function.__name__).click(function, inputs, out, api_name=function.__name__)

if __name__ == "__main__":
    demo.launch(share=True)
