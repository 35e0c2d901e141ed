import os

import spaces
import dask.array

NUMBERS = dask.array.ones((4000, 4000), chunks=(500, 500))


def compute():
    return float((NUMBERS @ NUMBERS.T).sum().compute(scheduler="threads"))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
