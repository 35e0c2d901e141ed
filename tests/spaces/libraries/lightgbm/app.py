import os

import spaces
import lightgbm
import numpy

RANDOM = numpy.random.default_rng(0)
POINTS, LABELS = RANDOM.random((50_000, 20)), RANDOM.random(50_000)
BOOSTER = lightgbm.train({"verbose": -1, "num_leaves": 63}, lightgbm.Dataset(POINTS, LABELS), 20)


def compute():
    return round(float(BOOSTER.predict(POINTS).sum()), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
