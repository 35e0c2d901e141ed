"""CuPy calls the driver from C, where nothing can be put between: it gets no memory, and its errors name the line."""

from __future__ import annotations

from typing import Any  # CuPy is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.errors import EmulationError, needs_gpu
from spaces.emulation.libraries.host_driver import host_has_driver
from spaces.emulation.patching.constant_functions import refuses, replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, cuda: Any, _device: EmulatedDevice) -> None:
    replace(patches, {"is_available": host_has_driver}, cuda)
    for owner, name in ((cuda.runtime, "CUDARuntimeError"), (cuda.driver, "CUDADriverError")):
        patches.value(owner, name, _naming_the_line(getattr(owner, name)))
    before = cuda.get_allocator()
    cuda.set_allocator(refuses("An array of CuPy"))
    patches.afterwards(lambda: cuda.set_allocator(before))


def _naming_the_line(error: Any) -> Any:
    """CuPy's error, which is one of the emulation as well; made without CuPy's constructor, which looks itself up."""

    def initialize(self: Any, status: int) -> None:
        RuntimeError.__init__(self, *needs_gpu(f"This call of CuPy (CUDA's error {status})").args)
        self.status = status

    return type(error.__name__, (EmulationError, error), {"__init__": initialize, "__module__": error.__module__})
