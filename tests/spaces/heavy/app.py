"""A Space whose weights are as large as $WEIGHTS_GB says."""

import os

import gradio as gr
import torch

import spaces

GIGABYTES = int(os.environ.get("WEIGHTS_GB", "0"))

weights = [torch.nn.Parameter(torch.ones(250_000_000).to("cuda")) for _ in range(GIGABYTES)]


@spaces.GPU
def total(n):
    return float(sum(part[: int(n)].sum() for part in weights))


gr.Interface(total, "number", "number", api_name="total").launch()
