import os

import spaces
import cv2
import numpy

IMAGE = numpy.random.default_rng(0).integers(0, 255, (2000, 3000, 3), dtype=numpy.uint8)


def compute():
    return int(cv2.bilateralFilter(IMAGE, 15, 80, 80).sum())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
