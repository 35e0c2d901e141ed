import os

import spaces
import multiprocessing

POOL = multiprocessing.Pool(2)


def compute():
    return sum(POOL.map(abs, range(-10, 0)))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
