import os

import spaces
import numpy
from pedalboard import Pedalboard, Reverb

BOARD = Pedalboard([Reverb(room_size=0.2)])
SOUND = numpy.sin(numpy.arange(400_000) / 10).astype(numpy.float32)


def compute():
    return round(float(abs(BOARD(SOUND, 44_100, reset=True)).sum()), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
