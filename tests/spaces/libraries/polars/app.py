import os

import spaces
import numpy
import polars

FRAME = polars.DataFrame({"key": numpy.arange(2_000_000) % 1000, "value": numpy.arange(2_000_000) * 0.5})


def compute():
    return FRAME.group_by("key").agg(polars.col("value").sum()).sort("key")["value"].to_list()[:5]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
