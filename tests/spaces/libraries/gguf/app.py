import os

import spaces
import gguf
import numpy
import torch
from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter

EIGHT = gguf.GGMLQuantizationType.Q8_0
LAYER = GGUFLinear(32, 4, bias=False, compute_dtype=torch.float32, device="meta")
LAYER.weight = GGUFParameter(
    torch.from_numpy(gguf.quants.quantize(numpy.ones((4, 32), dtype=numpy.float32), EIGHT)), quant_type=EIGHT
)
LAYER = LAYER.to("cuda")


def compute():
    result = LAYER(torch.ones(1, 32, device="cuda"))
    return type(LAYER.weight).__name__, LAYER.weight.device.type, round(result.sum().item(), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
