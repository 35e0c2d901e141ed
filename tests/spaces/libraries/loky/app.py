import os

import spaces
import loky


def compute():
    return sum(loky.get_reusable_executor(2).map(abs, range(-10, 0)))


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
