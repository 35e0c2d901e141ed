"""`torch.accelerator.*`, by which newer libraries use any kind of GPU."""

from __future__ import annotations

import torch

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import nothing, replace, same, says, zero
from spaces.emulation.patching.patches import Patches
from spaces.emulation.tensors.marks import CUDA_DEVICE
from spaces.emulation.torch_cuda import memory
from spaces.emulation.torch_cuda.current_device import OnlyDevice
from spaces.emulation.torch_cuda.streams import DEFAULT_STREAM

_KIND = torch.device("cuda")


def install(patches: Patches, device: EmulatedDevice) -> None:
    orders = "set_device_index set_device_idx set_stream synchronize empty_host_cache"
    answers = {
        "is_available": says(True),
        "device_count": says(1),
        "current_accelerator": says(_KIND),
        "current_stream": says(DEFAULT_STREAM),
        "device_index": OnlyDevice,
        "get_memory_info": says(memory.free_and_total(device)),
        **memory.answers(),
        **same(zero, "current_device_index current_device_idx"),
        **same(nothing, orders),
    }
    replace(patches, answers, torch.accelerator)
    replace(patches, {"_get_accelerator": says(CUDA_DEVICE)}, torch._C)
