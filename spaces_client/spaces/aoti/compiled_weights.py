"""Weights that exist only where a module was compiled: a Space may quantize its model inside the GPU function.

The module of the process that the compiled model is sent to has other weights then, so these go with it: as a file in
the cache, named by its content. A zygote reads it once for all its children.
"""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cache
from pathlib import Path

import torch

from spaces import config
from spaces.aoti import cache as packages
from spaces.aoti import compile_target
from spaces.aoti.weights import Tensors, Weights, is_plain, sha256, structure_of, tensors_in
from spaces.config import Role

logger = logging.getLogger(__name__)

_VALUES, _SHAPES = "weights.pt", "shapes.json"

#: Part of the names of tensors that were inside a quantized one.
_UNWRAPPED = "parametrizations."


class KeptWeights(Weights):
    """Weights in a file. Get them by `kept`: models that share weights share this object."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._read = self._load

    def are_those_of(self, module: torch.nn.Module) -> bool:
        """Whether a module has such tensors itself, because it was quantized here as well."""
        folder = packages.find(self.name)
        if folder is None:
            return True  # made on another host: what the module has is all there is
        have = _shapes(tensors_in(structure_of(module)))
        wanted: dict[str, str] = json.loads((folder / _SHAPES).read_text())
        return wanted.items() <= have.items()

    def read_ahead(self) -> None:
        """In a zygote: read them, so that its children need not."""
        if compile_target.emulated() and config.current().role is Role.WORKER:
            _ = self.constants_map

    def _load(self) -> Tensors:
        folder = packages.find(self.name)
        if folder is None:
            raise RuntimeError(
                "the weights of a compiled model, which the GPU function made that compiled it, are not on this host. "
                "Quantize the model at module level instead"
            )
        tensors: Tensors = torch.load(folder / _VALUES, mmap=True, weights_only=True)
        return tensors


@cache
def kept(name: str) -> KeptWeights:
    """The weights in the file of this name."""
    return KeptWeights(name)


def keep(weights: Weights | None) -> str | None:
    """Write weights that a module may not have elsewhere, and return their name; None if every process has them."""
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
    logger.info("weights that were made while compiling, %.0f MB, are kept in %s", size / 2**20, folder.name)


def _shapes(tensors: Tensors) -> dict[str, str]:
    """Of what was inside quantized tensors: a module that has the same was quantized in the same way."""
    return {name: f"{tuple(tensor.shape)} {tensor.dtype}" for name, tensor in tensors.items() if _UNWRAPPED in name}
