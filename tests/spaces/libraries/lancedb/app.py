import os

import spaces
import tempfile

import lancedb
import numpy

TABLE = lancedb.connect(tempfile.mkdtemp()).create_table(
    "points", [{"vector": numpy.full(8, number, numpy.float32), "number": number} for number in range(500)]
)


def compute():
    return [row["number"] for row in TABLE.search([7.0] * 8).limit(1).to_list()]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
