"""Loads weight files onto emulated cuda, and saves from it.

`torch.save` records the device of a tensor and `torch.load` restores it; both use a registry, which gets an entry for
emulated cuda before the others. Tensors that were just read have no second owner, so those of safetensors are marked
without a copy: they stay mapped, and are read only on use.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any  # torch and its friends are not typed here

import torch

from spaces.emulation.dispatch.mode import current, names_cuda
from spaces.emulation.errors import weights_are_gone
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CPU, CUDA, DROPPED, mark

BEFORE_ALL_OTHERS = 1


def install(patches: Patches) -> None:
    entry = (BEFORE_ALL_OTHERS, functools.partial(_tag, patches), functools.partial(_restore, patches))
    torch.serialization._package_registry.insert(0, entry)


def read_without_copies(patches: Patches, module: ModuleType) -> None:
    """Patch a library that reads weight files, just imported."""
    match module.__name__:
        case "safetensors.torch":
            _map_onto_cuda(patches, module)
        case "transformers.core_model_loading":
            _materialize_in_place(patches, module)


def _tag(patches: Patches, storage: Any) -> str | None:
    if not patches.active or storage.emulated_place == CPU:
        return None
    if storage.emulated_place == DROPPED:
        raise weights_are_gone("torch.save()")
    return "cuda:0"


def _restore(patches: Patches, storage: Any, location: str) -> Any:
    if not patches.active or not location.startswith("cuda"):
        return None
    storage.emulated_place = CUDA
    return storage


def _map_onto_cuda(patches: Patches, module: Any) -> None:
    original = module.load_file

    def load_file(filename: Any, device: Any = "cpu", **options: Any) -> Any:
        tensors = original(filename, device="cpu" if names_cuda(device) else device, **options)
        if names_cuda(device):
            for tensor in tensors.values():
                mark(tensor)
        return tensors

    patches.function(module, "load_file", load_file)


def _materialize_in_place(patches: Patches, module: Any) -> None:
    """Transformers 5 reads each weight as a slice of a file and moves it; earlier versions lack this function."""
    original = getattr(module, "_materialize_copy", None)
    if original is None:
        return

    def materialize(source: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(source, torch.Tensor):  # not a slice of a file: it may have other owners
            return original(source, *args, **kwargs)
        mode = current()
        mode.reading_files += 1
        try:
            return original(source, *args, **kwargs)
        finally:
            mode.reading_files -= 1

    patches.function(module, "_materialize_copy", materialize)
