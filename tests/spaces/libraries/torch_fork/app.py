import os

import spaces
import torch


def twice(numbers: torch.Tensor):
    return numbers * 2


@torch.jit.script
def both(numbers: torch.Tensor):
    future = torch.jit.fork(twice, numbers)
    return torch.jit.wait(future) + numbers


def compute():
    return both(torch.ones(1000)).sum().item()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
