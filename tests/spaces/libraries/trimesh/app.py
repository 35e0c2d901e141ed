import os

import spaces
import numpy
import trimesh

BALL = trimesh.creation.icosphere(subdivisions=5)
FROM = numpy.random.default_rng(0).random((50_000, 3)) + 2


def compute():
    return int(BALL.ray.intersects_any(FROM, -FROM).sum())


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
