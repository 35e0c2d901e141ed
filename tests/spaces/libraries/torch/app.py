import os

import spaces
import torch

torch.manual_seed(0)
MATRIX = torch.rand(1500, 1500)


def compute():
    return round(float(torch.tanh(MATRIX @ MATRIX / 400).sum()), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
