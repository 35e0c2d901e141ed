import os

import spaces
import numpy
import resampy

SOUND = numpy.sin(numpy.arange(400_000) / 10)


def compute():
    return round(float(abs(resampy.resample(SOUND, 44_100, 16_000, parallel=True)).sum()), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
