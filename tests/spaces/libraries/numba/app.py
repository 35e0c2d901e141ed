import os

import spaces
import numba
import numpy

DATA = numpy.linspace(0.0, 1.0, 4_000_000)


@numba.njit(parallel=True)
def total(data):
    found = 0.0
    for index in numba.prange(len(data)):
        found += numpy.sqrt(data[index])
    return found


def compute():
    return round(sum(total(DATA) for _ in range(20)), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
