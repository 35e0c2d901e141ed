import os

import spaces
import torch
from optimum.quanto import freeze, qint8, quantize

torch.manual_seed(0)
MODEL = torch.nn.Sequential(torch.nn.Linear(128, 128), torch.nn.LayerNorm(128), torch.nn.Linear(128, 8)).to("cuda")
quantize(MODEL, weights=qint8)
freeze(MODEL)


def compute():
    weight = MODEL[0].weight
    result = MODEL(torch.ones(1, 128, device="cuda"))
    return type(weight).__name__, weight.device.type, weight._data.device.type, round(result.sum().item(), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
