import os

import spaces
import torch
import xformers.ops


def compute():
    query = torch.ones(1, 8, 2, 16, device="cuda", dtype=torch.float16)
    result = xformers.ops.memory_efficient_attention(query, query, query)
    return result.device.type, list(result.shape), result.sum().item()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
