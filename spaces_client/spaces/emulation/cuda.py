"""`torch.cuda.*` but for memory, streams and random numbers: the answers of a machine with one GPU."""

from __future__ import annotations

import contextlib

import torch

from spaces.emulation.answers import Answers, nothing, refuses, replace, same, says, zero
from spaces.emulation.device import DeviceProperties, EmulatedDevice
from spaces.emulation.patches import Patches

CUDA_VERSION = "12.8"
CUDNN_VERSION = 91_002


def install(patches: Patches, device: EmulatedDevice) -> None:
    replace(patches, _identity(device) | _silence() | _driver(), torch.cuda)
    replace(patches, same(DeviceContext, "device device_of"), torch.cuda)
    replace(patches, same(nothing, "range_push range_pop mark range_start range_end"), torch.cuda.nvtx)
    replace(patches, same(nothing, "start stop init"), torch.cuda.profiler)
    replace(patches, {"_cuda_init": refuses("This call")}, torch._C)
    replace(patches, {"is_built": says(True)}, torch.backends.cuda)
    # cuDNN is there, but whoever asks whether it takes this tensor holds what is really a CPU tensor.
    cudnn = {"is_available": says(True), "version": says(CUDNN_VERSION), "is_acceptable": says(False)}
    replace(patches, cudnn, torch.backends.cudnn)
    if torch.version.cuda is None:
        patches.value(torch.version, "cuda", CUDA_VERSION)


def _identity(device: EmulatedDevice) -> Answers:
    compute = device.arch.replace("sm", "compute")
    return {
        "is_available": says(True),
        "device_count": says(1),
        "current_device": zero,
        "get_device_name": says(device.name),
        "get_device_capability": says(device.capability),
        "get_device_properties": says(DeviceProperties.of(device)),
        "get_arch_list": says([device.arch]),
        "get_gencode_flags": says(f"-gencode compute={compute},code={device.arch}"),
        "is_bf16_supported": says(True),
        "is_tf32_supported": says(True),
        "can_device_access_peer": says(False),
        "get_sync_debug_mode": zero,
    }


def _silence() -> Answers:
    orders = "init set_device synchronize ipc_collect set_sync_debug_mode _sleep"
    readings = "utilization memory_usage temperature power_draw clock_rate device_memory_used"
    return same(nothing, orders) | same(zero, readings)


def _driver() -> Answers:
    """Where C++ or Python would start CUDA: whatever slipped past the emulation ends here, with its line."""
    return {
        "_lazy_init": refuses("This call"),
        "_is_in_bad_fork": says(False),
        "cudart": refuses("torch.cuda.cudart()"),
        "current_blas_handle": refuses("torch.cuda.current_blas_handle()"),
    }


class DeviceContext(contextlib.ContextDecorator):
    """`with torch.cuda.device(0):`; there is only one device to be on."""

    def __init__(self, *_device: object, **_named: object) -> None:
        self.idx = 0
        self.prev_idx = 0

    def __enter__(self) -> DeviceContext:
        return self

    def __exit__(self, *error: object) -> None:
        pass
