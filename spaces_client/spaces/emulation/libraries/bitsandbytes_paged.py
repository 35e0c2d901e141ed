"""bitsandbytes' paged optimizers take memory from the driver."""

from __future__ import annotations

from typing import Any  # bitsandbytes is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import refuses, replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, functional: Any, _device: EmulatedDevice) -> None:
    replace(patches, {"get_paged": refuses("A paged optimizer of bitsandbytes")}, functional)
