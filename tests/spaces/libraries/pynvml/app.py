import os

import spaces
import pynvml

pynvml.nvmlInit()
GPU = pynvml.nvmlDeviceGetHandleByIndex(0)


def compute():
    memory = pynvml.nvmlDeviceGetMemoryInfo(GPU)
    return pynvml.nvmlDeviceGetCount(), pynvml.nvmlDeviceGetName(GPU), memory.total > 0


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
