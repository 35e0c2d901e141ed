import os

import spaces
import catboost
import numpy

ROWS = numpy.random.default_rng(0).random((2000, 10))
MODEL = catboost.CatBoostRegressor(iterations=50, verbose=0, allow_writing_files=False)


def compute():
    return round(float(MODEL.fit(ROWS, ROWS.sum(axis=1)).predict(ROWS).sum()), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
