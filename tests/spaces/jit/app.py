"""A Space that compiles a function just in time. It has no interface."""

import os

import spaces
import torch


@torch.compile
def wave(x):
    return torch.sin(x) * 2 + torch.cos(x)


@spaces.GPU(duration=900)
def compare():
    x = torch.linspace(0, 1, 16, device="cuda")
    apart = (wave(x) - (torch.sin(x) * 2 + torch.cos(x))).abs().max()
    return float(apart), os.environ["TORCHINDUCTOR_CACHE_DIR"]
