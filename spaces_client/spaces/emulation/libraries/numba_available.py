"""`numba.cuda.is_available()` without starting the driver; emulated tensors are no arrays of the GPU."""

from __future__ import annotations

from typing import Any  # numba is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.libraries.host_driver import host_has_driver
from spaces.emulation.patching.constant_functions import refuses, replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, cuda: Any, _device: EmulatedDevice) -> None:
    as_array = refuses("numba.cuda.as_cuda_array()")
    replace(patches, {"is_available": host_has_driver, "as_cuda_array": as_array}, cuda)
