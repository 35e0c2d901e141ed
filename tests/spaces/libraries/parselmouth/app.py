import os

import spaces
import numpy
import parselmouth

SOUND = parselmouth.Sound(numpy.sin(numpy.arange(160_000) / 10), 16_000)


def compute():
    return round(float(numpy.nan_to_num(SOUND.to_pitch().selected_array["frequency"]).sum()), 2)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
