"""flash-attn's kernels take memory of the GPU, and say so without a line of the Space."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any  # flash-attn is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import refuses, same
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, interface: Any, _device: EmulatedDevice) -> None:
    kernels = SimpleNamespace(**same(refuses("A kernel of flash-attn"), "fwd varlen_fwd bwd varlen_bwd fwd_kvcache"))
    for name in ("flash_attn_gpu", "flash_attn_cuda"):  # since 2.7.3, and before
        if hasattr(interface, name):
            patches.value(interface, name, kernels)
