"""Loads files of `torch.save` onto emulated cuda, and saves from it.

`torch.save` records the device of a tensor and `torch.load` restores it; both use a registry, which gets an entry for
emulated cuda before the others.
"""

from __future__ import annotations

import functools
from typing import Any  # torch is not typed here

import torch

from spaces.emulation.errors import weights_are_gone
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CPU, CUDA, DROPPED

BEFORE_ALL_OTHERS = 1


def install(patches: Patches) -> None:
    entry = (BEFORE_ALL_OTHERS, functools.partial(_tag, patches), functools.partial(_restore, patches))
    torch.serialization._package_registry.insert(0, entry)


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
