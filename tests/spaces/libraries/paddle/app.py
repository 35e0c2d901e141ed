import os

import spaces
import paddle

paddle.seed(0)
MATRIX = paddle.rand([1000, 1000])


def compute():
    return round(float(paddle.tanh(MATRIX @ MATRIX / 400).sum()), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
