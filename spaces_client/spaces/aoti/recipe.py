"""The cache's name of a compiled package, computed from everything that the package depends on.

The same program is exported twice: by a child on its GPU, and by the zygote with CUDA emulated on the CPU. Both must
find the same package, so device names inside the graph are ignored; the devices of inputs and weights are not.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import torch
from torch._inductor import config as inductor_config
from torch.utils._pytree import tree_leaves

from spaces.aoti import compile_target
from spaces.aoti.weights import is_plain, sha256

_DEVICE = re.compile(r"device\(type='(?:cuda|cpu)'(?:, index=\d+)?\)")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A program and the options to compile it with, without the device."""

    kind: str  #: "cuda" or "cpu": the real or emulated device of the program's inputs and weights
    digest: str

    @classmethod
    def of(cls, program: torch.export.ExportedProgram, options: dict[str, Any]) -> Recipe:
        """Collect everything that the compiled code depends on, which excludes the values of weights."""
        parts = [torch.__version__, _configuration(), repr(sorted(options.items()))]
        parts += [str(program.graph_signature), str(program.range_constraints), str(program.call_spec)]
        parts += [*_graphs(program), *_inputs(program), *_wrappers(program), *_constants(program)]
        tensors = [*_example_tensors(program), *program.state_dict.values()]
        kind = "cuda" if any(tensor.device.type == "cuda" for tensor in tensors) else "cpu"
        return cls(kind, _sha256(parts))

    @property
    def name(self) -> str:
        """The name of the cache entry for the device of this process."""
        device = compile_target.device_for(self.kind)
        return f"program-{_sha256([self.digest, device, compile_target.capability(device)])}"


def _configuration() -> str:
    """The Space's settings in `torch._inductor.config`, without the one in which the compiler records its results."""
    with inductor_config.patch({"aot_inductor.metadata": {}}):
        configuration: str = inductor_config.get_hash().hex()
    return configuration


def _graphs(program: torch.export.ExportedProgram) -> list[str]:
    graphs = [module for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    return [_DEVICE.sub("device(here)", graph.code) for graph in graphs]


def _inputs(program: torch.export.ExportedProgram) -> list[str]:
    """Shape, type and layout of every input, weight and constant, and the devices of the caller's inputs."""
    values = [(node.name, node.meta.get("val")) for node in program.graph.nodes if node.op == "placeholder"]
    described = [f"{name} {_shape(value) if isinstance(value, torch.Tensor) else value}" for name, value in values]
    return described + [tensor.device.type for tensor in _example_tensors(program)]


def _shape(value: torch.Tensor) -> str:
    return f"{tuple(value.shape)} {value.dtype} {value.stride()}"


def _wrappers(program: torch.export.ExportedProgram) -> list[str]:
    """The structure of quantized weights, which the graph does not contain."""
    return [f"{name} {_made_up(tensor)}" for name, tensor in program.state_dict.items() if not is_plain(tensor)]


def _made_up(tensor: torch.Tensor) -> str:
    if is_plain(tensor):
        return _shape(tensor)
    names, context = tensor.__tensor_flatten__()
    inner = [f"{name} {_made_up(getattr(tensor, name))}" for name in names]
    return _ADDRESS.sub("", f"{type(tensor).__module__}.{type(tensor).__qualname__} {inner} {context!r}")


def _constants(program: torch.export.ExportedProgram) -> list[str]:
    """Tensors that the code itself made; the package contains their values."""
    values = sorted(program.constants.items())
    return [f"{name} {sha256(value)}" for name, value in values if isinstance(value, torch.Tensor)]


def _example_tensors(program: torch.export.ExportedProgram) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(program.example_inputs) if isinstance(leaf, torch.Tensor)]


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
