import os

import spaces
import numpy
import soxr

SOUND = numpy.sin(numpy.arange(2_000_000) / 10)


def compute():
    return round(float(abs(soxr.resample(SOUND, 44_100, 16_000)).sum()), 3)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
