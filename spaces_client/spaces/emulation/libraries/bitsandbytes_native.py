"""bitsandbytes takes its native library for the CPU where torch is built for the CPU: the one for CUDA needs CUDA's."""

from __future__ import annotations

from typing import Any  # bitsandbytes is not typed here

import torch

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import nothing, replace
from spaces.emulation.patching.patches import Patches


def install(patches: Patches, cuda_specs: Any, _device: EmulatedDevice) -> None:
    if not torch._C._has_cuda:
        replace(patches, {"get_cuda_specs": nothing}, cuda_specs)
