import os

import spaces
import polars

STARTED = []


def compute():
    """Nothing while the script runs: the library is only imported."""
    if not STARTED:
        STARTED.append(True)
        return 499_500
    return polars.DataFrame({"value": range(1000)}).select(polars.col("value").sum()).item()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
