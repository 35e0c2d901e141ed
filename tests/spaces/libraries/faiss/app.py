import os

import spaces
import faiss
import numpy

POINTS = numpy.random.default_rng(0).random((40_000, 64), dtype=numpy.float32)
INDEX = faiss.IndexFlatL2(64)
INDEX.add(POINTS)


def compute():
    return INDEX.search(POINTS[:1000], 5)[1].sum().item()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
