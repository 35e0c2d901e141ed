"""A Space behind a login, that shows its visitors what they have left of the farm's GPUs."""

import threading
import time

import gradio as gr
import spaces


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


def left():
    quota = spaces.quota()
    return f"{quota.tier}: {quota.left:.0f} of {quota.limit:.0f} s"


with gr.Blocks() as demo:
    seconds, out = gr.Number(0), gr.Textbox(label="out")
    gr.Button("Work").click(work, seconds, out, api_name="work")
    gr.Button("Work in a thread").click(work_in_a_thread, None, out, api_name="work_in_a_thread")
    gr.Button("What is left?").click(left, None, out, api_name="left")

if __name__ == "__main__":
    demo.launch(auth=[("ada", "lovelace"), ("grace", "hopper")])
