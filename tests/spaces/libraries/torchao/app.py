import os

import spaces
import torch
from torchao.quantization import Int8WeightOnlyConfig, quantize_

torch.manual_seed(0)
MODEL = torch.nn.Sequential(torch.nn.Linear(128, 128), torch.nn.LayerNorm(128), torch.nn.Linear(128, 8)).to("cuda")
quantize_(MODEL, Int8WeightOnlyConfig())


def compute():
    weight = MODEL[0].weight
    result = MODEL(torch.ones(1, 128, device="cuda"))
    return type(weight).__name__, weight.device.type, round(result.sum().item(), 2)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
