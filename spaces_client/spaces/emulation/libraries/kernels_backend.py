"""kernels takes a build for the CPU where torch is built for the CPU: one for CUDA cannot be loaded there."""

from __future__ import annotations

from typing import Any  # kernels is not typed here

import torch

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, backends: Any, _device: EmulatedDevice) -> None:
    if not torch._C._has_cuda:
        replace(patches, {"_backend": lambda: backends.CPU()}, backends)
