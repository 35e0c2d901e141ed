import os

import spaces
import numpy
from usearch.index import Index

VECTORS = numpy.random.default_rng(0).random((5000, 64), dtype=numpy.float32)
INDEX = Index(ndim=64)
INDEX.add(numpy.arange(5000), VECTORS)


def compute():
    return round(float(INDEX.search(VECTORS[:100], 5).distances.sum()), 2)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
