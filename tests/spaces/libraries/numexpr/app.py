import os

import spaces
import numexpr
import numpy

NUMBERS = numpy.random.default_rng(0).random(2_000_000)


def compute():
    return round(float(numexpr.evaluate("sum(sin(NUMBERS) ** 2)")), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
