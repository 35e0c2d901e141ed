import os

import spaces
import tempfile

import ncnn
import numpy

ROWS = numpy.random.default_rng(0).random((256, 256), dtype=numpy.float32)


def network():
    path = os.path.join(tempfile.mkdtemp(), "network.param")
    with open(path, "w") as file:
        file.write("7767517\n2 2\nInput input 0 1 rows\nSoftmax softmax 1 1 rows shares 0=0 1=1\n")
    made = ncnn.Net()
    made.opt.num_threads = 2
    made.load_param(path)
    return made


NETWORK = network()


def compute():
    run = NETWORK.create_extractor()
    run.input("rows", ncnn.Mat(ROWS).clone())
    return round(float(numpy.array(run.extract("shares")[1]).sum()), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
