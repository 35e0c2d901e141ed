"""Loading files onto cuda and saving from it.

`torch.save` writes where a tensor was and `torch.load` puts it back; both ask a registry, which gets an entry for
emulated cuda ahead of the others. Tensors fresh from a file are nobody else's, so they are adopted without a copy,
which keeps safetensors mapped instead of read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any  # torch and its friends are not typed here

import torch

from spaces.emulation.marks import CPU, CUDA
from spaces.emulation.mode import current
from spaces.emulation.patches import Patches
from spaces.imports import when_imported

BEFORE_ALL_OTHERS = 1

ADOPTED = {
    "safetensors.torch": ["load_file"],
    "transformers.core_model_loading": ["_materialize_copy"],
}
"""Functions that move a tensor to a device right after reading it from a file."""


def install(patches: Patches) -> None:
    registry = torch.serialization._package_registry
    entry = (BEFORE_ALL_OTHERS, functools.partial(_tag, patches), functools.partial(_restore, patches))
    registry.insert(0, entry)
    for module, names in ADOPTED.items():
        when_imported(module, functools.partial(_adopt, patches, names))


def _tag(patches: Patches, storage: Any) -> str | None:
    return "cuda:0" if patches.active and storage.emulated_place != CPU else None


def _restore(patches: Patches, storage: Any, location: str) -> Any:
    if not patches.active or not location.startswith("cuda"):
        return None
    storage.emulated_place = CUDA
    return storage


def _adopt(patches: Patches, names: list[str], module: ModuleType) -> None:
    for name in names:
        original = getattr(module, name, None)
        if original is not None and patches.active:
            patches.function(module, name, _as_reading(original))


def _as_reading(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def load(*args: Any, **kwargs: Any) -> Any:
        mode = current()
        mode.reading_files += 1
        try:
            return original(*args, **kwargs)
        finally:
            mode.reading_files -= 1

    return load
