import os

import spaces
import numpy
import onnxruntime
from onnx import TensorProto, helper

ENDS = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
GRAPH = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "twice", ENDS[:1], ENDS[1:])
MODEL = helper.make_model(GRAPH, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
SESSION = onnxruntime.InferenceSession(MODEL, providers=["CUDAExecutionProvider", "CPUExecutionProvider"])


def compute():
    return SESSION.get_providers(), SESSION.run(None, {"x": numpy.ones(3, dtype=numpy.float32)})[0].tolist()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
