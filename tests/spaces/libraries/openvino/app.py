import os

import spaces
import numpy
import openvino
from openvino import opset13

RANDOM = numpy.random.default_rng(0)


def network():
    rows = step = opset13.parameter([256, 512], numpy.float32)
    weights = opset13.constant(RANDOM.standard_normal((512, 512), dtype=numpy.float32) / 20)
    for _ in range(6):
        step = opset13.relu(opset13.matmul(step, weights, False, False))
    return openvino.Core().compile_model(openvino.Model([step], [rows]), "CPU")


NETWORK = network()
ROWS = RANDOM.random((256, 512), dtype=numpy.float32)


def compute():
    return round(float(NETWORK([ROWS])[0].sum()), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
