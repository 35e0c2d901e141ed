"""A Space that builds something and moves to another folder at import, then serves an app with its own queues."""

import asyncio
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future

build = "import os; os.makedirs('work', exist_ok=True); open('built.txt', 'w').write('built at import')"
subprocess.run([sys.executable, "-c", build], check=True)
path = subprocess.check_output('echo "$PATH"', env={"SKIP_CUDA_BUILD": "TRUE"}, shell=True, text=True).strip()
os.chdir("work")

import gradio as gr  # noqa: E402 - where an author had it
import spaces  # noqa: E402
import uvicorn  # noqa: E402
from fastapi import FastAPI  # noqa: E402

app = FastAPI()
jobs = queue.Queue()


@spaces.GPU
def built():
    with open("../built.txt") as file:
        return f"{file.read()}, in {os.path.basename(os.getcwd())}"


@spaces.GPU
async def later(text):
    await asyncio.sleep(0)
    return f"later {text}"


@spaces.GPU
def in_pool(numbers):
    with multiprocessing.Pool(2) as pool:
        return str(pool.map(abs, [int(number) for number in numbers.split()]))


def where():
    return [path == os.environ["PATH"], os.environ["SPACE_ID"]]


def work():
    """A queue of the Space's own: GPU functions are called from this thread, with no event and no request."""
    while True:
        text, future = jobs.get()
        try:
            future.set_result(f"{built()} for {text}")
        except Exception as error:
            future.set_exception(error)


def enqueue(text):
    future = Future()
    jobs.put((text, future))
    return future.result()


@app.get("/later/{text}")
async def later_route(text: str):
    return {"said": await later(text)}


@app.post("/built")
def built_route():
    return {"said": built()}


with gr.Blocks() as demo:
    box, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(built, None, out, api_name="built")
    gr.Button().click(where, None, gr.JSON(), api_name="where")
    gr.Button().click(later, box, out, api_name="later")
    gr.Button().click(in_pool, box, out, api_name="in_pool")
    gr.Button().click(enqueue, box, out, api_name="enqueue")

app = gr.mount_gradio_app(app, demo, path="/")

if __name__ == "__main__":
    threading.Thread(target=work, daemon=True).start()
    if spaces.config.Config.zero_gpu:
        spaces.zero.startup()
    uvicorn.run(app, host="0.0.0.0", port=7860)
