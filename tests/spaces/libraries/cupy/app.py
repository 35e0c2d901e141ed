import os

import spaces
import cupy


def compute():
    """Without a driver a Space can tell, and each call of it is refused with this script's line."""
    try:
        made = int(cupy.ones(3).sum())
    except RuntimeError as error:
        made = f"{type(error).__name__} {__file__ in str(error)}"
    return cupy.cuda.is_available(), made


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
