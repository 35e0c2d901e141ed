"""Weights that exist only in the process that compiled: a Space may quantize its model inside the GPU function.

The process that receives the compiled model then has a module with other weights, so the weights are sent too: as a
file in the cache, named by its content. A zygote reads it once for all its children.
"""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cache
from pathlib import Path

import torch

from spaces import role
from spaces.aoti import cache as packages
from spaces.aoti import compile_target
from spaces.aoti.weights import Tensors, Weights, is_plain, sha256, structure_of, tensors_in
from spaces.role import Role

logger = logging.getLogger(__name__)

_VALUES, _SHAPES = "weights.pt", "shapes.json"

#: Part of the names of the tensors inside a quantized tensor.
_UNWRAPPED = "parametrizations."


class KeptWeights(Weights):
    """Weights in a file. Made by `kept`, so that models that share weights share this object."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._read = self._load

    def are_those_of(self, module: torch.nn.Module) -> bool:
        """Whether a module has these tensors itself, because it was quantized in this process as well."""
        folder = packages.find(self.name)
        if folder is None:
            return True  # made on another host: only the module's own weights are available
        have = _shapes(tensors_in(structure_of(module)))
        wanted: dict[str, str] = json.loads((folder / _SHAPES).read_text())
        return wanted.items() <= have.items()

    def read_ahead(self) -> None:
        """In a zygote: read the weights, so that its children need not."""
        if compile_target.emulated() and role.current() is Role.WORKER:
            _ = self.constants_map

    def _load(self) -> Tensors:
        folder = packages.find(self.name)
        if folder is None:
            raise RuntimeError(
                "the weights of a compiled model are not on this host: the GPU function that compiled it made them. "
                "Quantize the model at module level instead"
            )
        tensors: Tensors = torch.load(folder / _VALUES, mmap=True, weights_only=True)
        return tensors


@cache
def kept(name: str) -> KeptWeights:
    """The weights in the file of this name."""
    return KeptWeights(name)


def keep(weights: Weights | None) -> str | None:
    """Write weights that other processes may lack, and return their name; None if every process has them."""
    if isinstance(weights, KeptWeights):
        return weights.name
    if weights is None or not any(_UNWRAPPED in name for name in weights.constants_map):
        return None
    tensors = {name: tensor.detach() for name, tensor in weights.constants_map.items() if is_plain(tensor)}
    digests = [f"{name} {tensor.dtype} {sha256(tensor)}" for name, tensor in sorted(tensors.items())]
    name = f"weights-{hashlib.sha256(chr(0).join(digests).encode()).hexdigest()}"
    packages.keep(name, lambda folder: _write(folder, tensors))
    return name


def _write(folder: Path, tensors: Tensors) -> None:
    torch.save(tensors, folder / _VALUES)
    (folder / _SHAPES).write_text(json.dumps(_shapes(tensors)))
    size = sum(tensor.nbytes for tensor in tensors.values())
    logger.info("weights that the compiling function made, %.0f MB, are kept in %s", size / 2**20, folder.name)


def _shapes(tensors: Tensors) -> dict[str, str]:
    """Shapes of the tensors inside quantized tensors: equal shapes mean that a module was quantized in the same way."""
    return {name: f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in tensors.items() if _UNWRAPPED in name}
