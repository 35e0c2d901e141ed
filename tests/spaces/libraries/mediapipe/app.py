import os

import spaces
import mediapipe
import numpy


def compute():
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.ones((64, 64, 3), numpy.uint8))
    return int(image.numpy_view().sum())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
