"""Functions of `torch._C` that only a build for CUDA has; libraries call them, or copy them, when they are imported."""

from __future__ import annotations

import torch

from spaces.emulation.emulated_device import DeviceProperties, EmulatedDevice
from spaces.emulation.patching.constant_functions import Answer, Answers, nothing, refuses, replace, same, says, zero
from spaces.emulation.patching.patches import Patches
from spaces.emulation.torch_cuda.device_properties import CUDA_VERSION

CUDA = 1  #: torch's number of the type of device

ORDERS = """
    setDevice setStream set_sync_debug_mode sleep synchronize ipc_collect emptyCache cudaCachingAllocator_enable
    clearCublasWorkspaces setCublasWorkspaceSize resetCublasWorkspaceSize setCublasLtWorkspaceSize
    resetCublasLtWorkspaceSize resetAccumulatedMemoryStats resetPeakMemoryStats resetAccumulatedHostMemoryStats
    resetPeakHostMemoryStats setMemoryFraction setMemoryMetadata record_memory_history record_memory_history_legacy
    attach_out_of_memory_observer set_cudnn_benchmark_limit tunableop_enable tunableop_tuning_enable
    tunableop_set_max_tuning_duration tunableop_set_max_tuning_iterations tunableop_set_filename
    tunableop_set_rotating_buffer_size tunableop_set_numerical_check_tolerances record_untuned_enable
"""
ZEROS = """
    getDevice exchangeDevice maybeExchangeDevice getCurrentRawStream get_sync_debug_mode getCublasWorkspaceSize
    getCublasLtWorkspaceSize get_cudnn_benchmark_limit tunableop_get_max_tuning_duration
    tunableop_get_max_tuning_iterations tunableop_get_rotating_buffer_size tunableop_get_rotation_buffer_size
"""
FALSE = """
    isInBadFork hasPrimaryContext canDeviceAccessPeer isHistoryEnabled isCurrentStreamCapturing
    get_conv_benchmark_empty_cache tunableop_is_enabled tunableop_tuning_is_enabled tunableop_read_file
    record_untuned_is_enabled
"""
REFUSED = """
    getCurrentBlasHandle getCurrentSolverHandle cudaHostAllocator cudaCachingAllocator_raw_alloc
    cudaCachingAllocator_raw_delete getAllocator customAllocator changeCurrentAllocator getCheckpointState
    setCheckpointPoolState checkPoolLiveAllocations beginAllocateToPool beginAllocateCurrentThreadToPool
    beginAllocateCurrentStreamToPool endAllocateToPool releasePool jiterator_compile_and_launch_kernel
"""


def install(patches: Patches, device: EmulatedDevice) -> None:
    answers = _same(nothing, ORDERS) | _same(zero, ZEROS) | _same(says(False), FALSE) | _answers(device)
    answers |= {name: refuses(f"torch._C.{name}()") for name in _same(nothing, REFUSED)}
    replace(patches, answers | {"_cuda_init": refuses("This call")}, torch._C)
    if not hasattr(torch._C, "_CudaDeviceProperties"):
        patches.value(torch._C, "_CudaDeviceProperties", DeviceProperties)


def _same(answer: Answer, names: str) -> Answers:
    return {f"_cuda_{name}": function for name, function in same(answer, names).items()}


def _answers(device: EmulatedDevice) -> Answers:
    major, minor = CUDA_VERSION.split(".")
    return {
        "_cuda_getDeviceCount": says(1),
        "_cuda_getArchFlags": says(device.arch),
        "_cuda_getCompiledVersion": says(int(major) * 1000 + int(minor) * 10),
        "_cuda_getMemoryFraction": says(1.0),
        "_cuda_getMemoryMetadata": says(""),
        "_cuda_getAllocatorBackend": says("native"),
        "_cuda_cudaCachingAllocator_is_enabled": says(True),
        "_cuda_memorySnapshot": says({"segments": [], "device_traces": []}),
        "_cuda_allocationTraceback": nothing,
        "_cuda_tunableop_get_filename": says(""),
        **dict.fromkeys(["_cuda_memoryStats", "_cuda_hostMemoryStats"], says({})),
        **dict.fromkeys(["_cuda_getCurrentStream", "_cuda_getDefaultStream"], says((0, 0, CUDA))),
        "_cuda_getStreamFromExternal": lambda pointer, _device: (pointer, 0, CUDA),
        **dict.fromkeys(["_cuda_tunableop_get_results", "_cuda_tunableop_get_validators"], says(())),
    }
