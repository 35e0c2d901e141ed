import os

import spaces
import numpy
import tensorflow

MATRIX = tensorflow.constant(numpy.random.default_rng(0).random((1500, 1500), dtype=numpy.float32))


@tensorflow.function
def product(matrix):
    return tensorflow.reduce_sum(tensorflow.tanh(matrix @ matrix / 400)) + tensorflow.reduce_sum(matrix * 2)


def compute():
    return round(float(product(MATRIX)), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
