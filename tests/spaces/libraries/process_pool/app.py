import os

import spaces
from concurrent.futures import ProcessPoolExecutor

POOL = ProcessPoolExecutor(2)


def compute():
    return sum(POOL.map(abs, range(-10, 0)))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
