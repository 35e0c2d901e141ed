import os

import spaces
import numpy
from PIL import Image, ImageDraw
from rapidocr_onnxruntime import RapidOCR

PAGE = Image.new("RGB", (300, 80), "white")
ImageDraw.Draw(PAGE).text((20, 20), "HELLO 123", fill="black", font_size=36)
READER = RapidOCR()


def compute():
    found, _ = READER(numpy.array(PAGE))
    return [each[1] for each in found]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
