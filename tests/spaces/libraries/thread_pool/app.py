import os

import spaces
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(4)


def compute():
    return sum(POOL.map(lambda number: number * 2, range(100)))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
