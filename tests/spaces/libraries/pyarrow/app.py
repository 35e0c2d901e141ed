import os

import spaces
import numpy
import pyarrow

TABLE = pyarrow.table({"key": numpy.arange(4_000_000) % 1000, "value": numpy.arange(4_000_000)})


def compute():
    return TABLE.group_by("key").aggregate([("value", "sum")]).sort_by("key")["value_sum"].to_pylist()[:5]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
