"""`torch.cuda.is_available`, `get_device_name`, `get_device_properties` and the rest of a device's identity."""

from __future__ import annotations

import torch

from spaces.emulation.emulated_device import DeviceProperties, EmulatedDevice
from spaces.emulation.patching.constant_functions import Answers, nothing, replace, same, says, zero
from spaces.emulation.patching.patches import Patches

CUDA_VERSION = "12.8"
CUDNN_VERSION = 91_002


def install(patches: Patches, emulated: EmulatedDevice) -> None:
    replace(patches, _identity(emulated) | _silence(), torch.cuda)
    replace(patches, same(nothing, "range_push range_pop mark range_start range_end"), torch.cuda.nvtx)
    replace(patches, same(nothing, "start stop init"), torch.cuda.profiler)
    replace(patches, {"is_built": says(True)}, torch.backends.cuda)
    # cuDNN appears to exist, but it cannot accept a tensor, which is really on the CPU.
    cudnn = {"is_available": says(True), "version": says(CUDNN_VERSION), "is_acceptable": says(False)}
    replace(patches, cudnn, torch.backends.cudnn)
    if torch.version.cuda is None:
        patches.value(torch.version, "cuda", CUDA_VERSION)


def _identity(emulated: EmulatedDevice) -> Answers:
    compute = emulated.arch.replace("sm", "compute")
    return {
        "is_available": says(True),
        "device_count": says(1),
        "current_device": zero,
        "get_device_name": says(emulated.name),
        "get_device_capability": says(emulated.capability),
        "get_device_properties": says(DeviceProperties.of(emulated)),
        "get_arch_list": says([emulated.arch]),
        "get_gencode_flags": says(f"-gencode compute={compute},code={emulated.arch}"),
        "is_bf16_supported": says(True),
        "is_tf32_supported": says(True),
        "can_device_access_peer": says(False),
        "get_sync_debug_mode": zero,
    }


def _silence() -> Answers:
    orders = "init set_device synchronize ipc_collect set_sync_debug_mode _sleep"
    readings = "utilization memory_usage temperature power_draw clock_rate device_memory_used"
    return same(nothing, orders) | same(zero, readings)
