import os

import spaces
import flatbuffers
import numpy
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

LAYERS, WIDTH, ROWS = 6, 512, 256
RANDOM = numpy.random.default_rng(0)


def tensor(name, shape, buffer):
    made = schema.TensorT()
    made.name, made.shape, made.type, made.buffer = name, shape, schema.TensorType.FLOAT32, buffer
    return made


def model():
    """Some layers of the same random weights."""
    empty, filled = schema.BufferT(), schema.BufferT()
    weights = RANDOM.standard_normal((WIDTH, WIDTH), dtype=numpy.float32) / 20
    filled.data = numpy.frombuffer(weights.tobytes(), numpy.uint8)
    graph = schema.SubGraphT()
    graph.tensors = [tensor("weights", [WIDTH, WIDTH], 1)]
    graph.tensors += [tensor(f"layer{each}", [ROWS, WIDTH], 0) for each in range(LAYERS + 1)]
    graph.inputs, graph.outputs, graph.operators = [1], [LAYERS + 1], []
    for layer in range(LAYERS):
        step = schema.OperatorT()
        step.opcodeIndex, step.inputs, step.outputs = 0, [layer + 1, 0, -1], [layer + 2]
        step.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        step.builtinOptions = schema.FullyConnectedOptionsT()
        graph.operators.append(step)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    made = schema.ModelT()
    made.version, made.operatorCodes, made.subgraphs, made.buffers = 3, [code], [graph], [empty, filled]
    builder = flatbuffers.Builder()
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


INTERPRETER = Interpreter(model_content=model(), num_threads=4)
INTERPRETER.allocate_tensors()
INPUT, OUTPUT = INTERPRETER.get_input_details()[0]["index"], INTERPRETER.get_output_details()[0]["index"]
ROWS_IN = RANDOM.random((ROWS, WIDTH), dtype=numpy.float32)


def compute():
    INTERPRETER.set_tensor(INPUT, ROWS_IN)
    INTERPRETER.invoke()
    return round(float(numpy.abs(INTERPRETER.get_tensor(OUTPUT)).sum()), 0)


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
