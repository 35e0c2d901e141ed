import os

import spaces
import datafusion

CONTEXT = datafusion.SessionContext()
CONTEXT.from_pydict({"key": [each % 7 for each in range(100_000)], "value": list(range(100_000))}, name="numbers")


def compute():
    return CONTEXT.sql("select key, sum(value) as total from numbers group by key order by key").to_pydict()["total"]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
