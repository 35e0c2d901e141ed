"""A Space behind a login, that shows its visitors what they have left of the farm's GPUs."""

import os
import queue
import threading
import time
from concurrent.futures import Future

import gradio as gr
import spaces

asked = queue.SimpleQueue()


@spaces.GPU(duration=20)
def work(seconds):
    time.sleep(seconds)
    return "done"


def work_in_a_thread():
    done = []
    thread = threading.Thread(target=lambda: done.append(work(0)))
    thread.start()
    thread.join()
    return done[0]


@spaces.GPU(duration=120)
def work_long():
    return "done"


@spaces.GPU(duration=20)
def work_until(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    return "done"


@spaces.GPU(duration=20)
def work_on_until(path):
    while not os.path.exists(path):
        time.sleep(0.01)
    return "done"


@spaces.GPU(duration=20)
def work_together(paths):
    while not all(map(os.path.exists, paths)):
        time.sleep(0.01)
    return [[f"{len(paths)} done"] * len(paths)]


def work_of_the_space():
    done = Future()
    asked.put(done)
    return done.result()


def serve():
    while True:
        done = asked.get()
        try:
            done.set_result(work(0))
        except Exception as error:
            done.set_exception(error)


def left():
    quota = spaces.quota()
    return f"{quota.tier}: {quota.left:.0f} of {quota.limit:.0f} s"


with gr.Blocks() as demo:
    seconds, out = gr.Number(0), gr.Textbox(label="out")
    gr.Button("Work").click(work, seconds, out, api_name="work")
    gr.Button("Work in a thread").click(work_in_a_thread, None, out, api_name="work_in_a_thread")
    gr.Button("Work long").click(work_long, None, out, api_name="work_long")
    path = gr.Textbox(visible=False)
    gr.Button("Work until").click(work_until, path, out, api_name="work_until")
    gr.Button("Work on until").click(work_on_until, path, out, api_name="work_on_until")
    gr.Button("Work together").click(work_together, path, out, api_name="work_together", batch=True, max_batch_size=4)
    gr.Button("Have the Space work").click(work_of_the_space, None, out, api_name="work_of_the_space")
    gr.Button("What is left?").click(left, None, out, api_name="left")

if __name__ == "__main__":
    threading.Thread(target=serve, daemon=True).start()
    demo.launch(auth=[("ada", "lovelace"), ("grace", "hopper")])
