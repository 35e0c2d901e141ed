"""numba.cuda starts the driver at the first call that needs it, and remembers in the object of the driver how it went.

A child is forked from this process, so the driver must not be started here, nor its failure be remembered.
"""

from __future__ import annotations

from typing import Any  # numba is not typed here

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import refuses, replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, driver: Any, _device: EmulatedDevice) -> None:
    replace(patches, {"ensure_initialized": refuses("This call of numba.cuda")}, driver.Driver)
