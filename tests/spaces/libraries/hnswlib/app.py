import os

import spaces
import hnswlib
import numpy

POINTS = numpy.random.default_rng(0).random((5_000, 32), dtype=numpy.float32)
INDEX = hnswlib.Index(space="l2", dim=32)
INDEX.init_index(max_elements=5_000, random_seed=1)
INDEX.add_items(POINTS)


def compute():
    return INDEX.knn_query(POINTS, k=1)[0].sum().item()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
