"""A Space that takes $HUNGRY_GB of a device's memory in weights, and as much again while it computes."""

import os

import spaces
import torch

GIGABYTES = float(os.environ.get("HUNGRY_GB", "1"))

weights = torch.ones(int(GIGABYTES * (1 << 30)), dtype=torch.uint8).to("cuda")


@spaces.GPU
def work():
    return int((weights + 1)[-1]), os.getpid()
