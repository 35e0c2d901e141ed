"""Loads safetensors onto emulated cuda.

Tensors that were just read have no second owner, so they are marked without a copy: they stay mapped, and are read
only on use.
"""

from __future__ import annotations

from typing import Any  # safetensors is not typed here

from spaces.emulation.dispatch.mode import names_cuda
from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import mark


def install(patches: Patches, module: Any, _device: EmulatedDevice) -> None:
    original = module.load_file

    def load_file(filename: Any, device: Any = "cpu", **options: Any) -> Any:
        tensors = original(filename, device="cpu" if names_cuda(device) else device, **options)
        if names_cuda(device):
            for tensor in tensors.values():
                mark(tensor)
        return tensors

    patches.function(module, "load_file", load_file)
