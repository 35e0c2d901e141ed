import os

import spaces
import librosa
import numpy

SOUND = numpy.sin(numpy.arange(200_000) / 10).astype(numpy.float32)


def compute():
    return round(float(librosa.feature.mfcc(y=SOUND, sr=22_050).sum()), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
