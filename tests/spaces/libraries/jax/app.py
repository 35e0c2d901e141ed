import os

import spaces
import jax
import numpy

MATRIX = numpy.random.default_rng(0).random((1500, 1500), dtype=numpy.float32)
product = jax.jit(lambda matrix: jax.numpy.tanh(matrix @ matrix / 400).sum())


def compute():
    return round(float(product(MATRIX)), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
