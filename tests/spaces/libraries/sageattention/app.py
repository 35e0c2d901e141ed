import os

import spaces
import torch
from sageattention import sageattn


def compute():
    """Kernels of Triton: without a GPU a launch is refused with this script's line."""
    query = torch.ones(1, 2, 64, 64, device="cuda", dtype=torch.float16)
    try:
        return sageattn(query, query, query).device.type
    except RuntimeError as error:
        return f"{type(error).__name__} {__file__ in str(error)}"


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
