import os

import spaces
import torch
from torch.utils.data import DataLoader, TensorDataset

LOADER = DataLoader(TensorDataset(torch.arange(1000)), batch_size=100, num_workers=2)
KEPT = DataLoader(TensorDataset(torch.arange(1000)), batch_size=100, num_workers=1, persistent_workers=True)


def compute():
    return [sum(int(each.sum()) for (each,) in loader) for loader in (LOADER, KEPT)]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
