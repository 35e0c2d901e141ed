import os

import spaces
import rawpy


def compute():
    return sorted(rawpy.flags.items())[:3]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
