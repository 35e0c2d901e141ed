import os

import spaces
import numpy
import xgboost

RANDOM = numpy.random.default_rng(0)
MATRIX = xgboost.DMatrix(RANDOM.random((50_000, 20)), RANDOM.random(50_000))


def compute():
    return round(float(xgboost.train({"max_depth": 6}, MATRIX, 20).predict(MATRIX).sum()), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
