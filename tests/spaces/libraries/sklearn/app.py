import os

import spaces
import numpy
from sklearn.ensemble import RandomForestRegressor

RANDOM = numpy.random.default_rng(0)
POINTS, LABELS = RANDOM.random((3000, 10)), RANDOM.random(3000)


def compute():
    forest = RandomForestRegressor(20, n_jobs=2, random_state=0).fit(POINTS, LABELS)
    return round(float(forest.predict(POINTS).sum()), 6)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
