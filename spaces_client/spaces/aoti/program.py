"""Programs that were exported while CUDA was emulated: their graphs name the CPU, but their weights are on the GPU."""

from __future__ import annotations

import torch
from torch.export import ExportedProgram
from torch.utils._pytree import tree_leaves

from spaces.aoti import compile_target


def on_its_device(program: ExportedProgram) -> ExportedProgram:
    """The program, changed to name the GPU throughout if its tensors are there."""
    if compile_target.emulated() or not _moved(program):
        return program
    from torch.export.passes import move_to_device_pass

    return move_to_device_pass(program, "cuda")


def _moved(program: ExportedProgram) -> bool:
    """Whether tensors that the graph places on the CPU are on the GPU."""
    values = [*tree_leaves(program.example_inputs), *program.state_dict.values()]
    on_gpu = any(isinstance(value, torch.Tensor) and value.device.type == "cuda" for value in values)
    inputs = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"]
    says_gpu = any(isinstance(value, torch.Tensor) and value.device.type == "cuda" for value in inputs)
    return on_gpu and not says_gpu
