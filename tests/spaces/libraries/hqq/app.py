import os

import spaces
import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear

torch.manual_seed(0)
CONFIG = BaseQuantizeConfig(nbits=4, group_size=64)
LAYER = HQQLinear(torch.nn.Linear(128, 128), CONFIG, compute_dtype=torch.float16, device="cuda")


def compute():
    result = LAYER(torch.ones(1, 128, device="cuda", dtype=torch.float16))
    return LAYER.W_q.device.type, result.device.type, round(result.sum().item(), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
