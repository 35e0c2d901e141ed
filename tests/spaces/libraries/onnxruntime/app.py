import os

import spaces
import itertools

import numpy
import onnxruntime
from onnx import TensorProto, helper

SIZE = 1024


def model():
    """Ten products of matrices in a row."""
    names = [f"x{number}" for number in range(11)]
    nodes = [helper.make_node("MatMul", [left, "x0"], [right]) for left, right in itertools.pairwise(names)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE, SIZE]) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "products", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10).SerializeToString()


SESSION = onnxruntime.InferenceSession(model(), providers=["CPUExecutionProvider"])
MATRIX = numpy.eye(SIZE, dtype=numpy.float32) * 1.5


def compute():
    return round(float(SESSION.run(None, {"x0": MATRIX})[0].sum()), 1)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
