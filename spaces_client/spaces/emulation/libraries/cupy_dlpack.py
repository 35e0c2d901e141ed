"""CuPy's view of a tensor: an emulated one has no memory on the GPU."""

from __future__ import annotations

from typing import Any  # CuPy is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import refuses, replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, cupy: Any, _device: EmulatedDevice) -> None:
    replace(patches, {"from_dlpack": refuses("cupy.from_dlpack()")}, cupy)
