import os

import spaces
import torch

compiled = torch.compile(lambda numbers: (numbers * 2).sin().sum())
USED = []


def compute():
    """The first compilation is the child's."""
    if not USED:
        USED.append(True)
        return 0.0
    return round(float(compiled(torch.zeros(1000))), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
