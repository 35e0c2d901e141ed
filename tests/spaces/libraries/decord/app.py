import os

import spaces
import tempfile

import decord
import imageio
import numpy

PATH = os.path.join(tempfile.mkdtemp(), "film.mp4")
imageio.mimwrite(PATH, [numpy.full((64, 64, 3), 5 * each, numpy.uint8) for each in range(40)], fps=10)
FILM = decord.VideoReader(PATH)


def compute():
    return int(FILM.get_batch([0, 5, 30]).asnumpy().astype(int).sum())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
