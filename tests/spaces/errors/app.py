"""A Space whose tasks end badly in every way. Its author lets visitors read the errors."""

import os
import signal
import time

import gradio as gr
import spaces


@spaces.GPU
def fail():
    raise ValueError("no such prompt")


@spaces.GPU(duration=1)
def overrun():
    time.sleep(60)


@spaces.GPU
def too_large():
    import numpy

    return numpy.zeros((1 << 20, 1 << 30), dtype="float32")


@spaces.GPU
def too_large_for_torch():
    import torch

    return torch.zeros(1 << 50)


@spaces.GPU
def too_large_for_the_gpu():
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 69.50 GiB")


@spaces.GPU
def crash():
    signal.raise_signal(signal.SIGSEGV)


@spaces.GPU
def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@spaces.GPU
def left():
    os._exit(3)


@spaces.GPU
def hold():
    time.sleep(60)


@spaces.GPU(duration=lambda: -5)
def of_no_duration():
    pass


@spaces.GPU
def echo(value):
    return value


def with_generator():
    return echo(number for number in range(3))


@spaces.GPU
def returns_generator():
    return (number for number in range(3))


@spaces.GPU
def count():
    yield "one"
    yield "two"


def sending():
    numbers = count()
    next(numbers)
    return numbers.send("more")


with gr.Blocks() as demo:
    out = gr.Textbox()
    for function in (
        fail,
        overrun,
        too_large,
        too_large_for_torch,
        too_large_for_the_gpu,
        crash,
        killed,
        left,
        hold,
        of_no_duration,
        with_generator,
        returns_generator,
        sending,
    ):
        gr.Button(function.__name__).click(function, None, out, api_name=function.__name__)

demo.launch(show_error=True)
