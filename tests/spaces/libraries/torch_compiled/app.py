import os

import spaces
import torch

compiled = torch.compile(lambda numbers: (numbers * 2).sin().sum())


def compute():
    return round(float(compiled(torch.ones(1000))), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
