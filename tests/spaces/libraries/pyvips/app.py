import os

import spaces
import pyvips

IMAGE = pyvips.Image.gaussnoise(4000, 4000, seed=1).copy_memory()


def compute():
    """Nothing is kept of it: an equal operation would be answered from memory."""
    pyvips.cache_set_max(0)
    return round(IMAGE.gaussblur(9).avg(), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
