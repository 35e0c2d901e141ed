"""`torch.cuda.memory_*`: no memory is in use on an emulated GPU."""

from __future__ import annotations

from collections import OrderedDict

import torch

from spaces.emulation.emulated_device import EmulatedDevice
from spaces.emulation.patching.constant_functions import Answers, nothing, refuses, replace, same, says, zero
from spaces.emulation.patching.patches import Patches

AMOUNTS = "memory_allocated max_memory_allocated memory_reserved max_memory_reserved"
ORDERS = "empty_cache reset_peak_memory_stats reset_accumulated_memory_stats"


def install(patches: Patches, device: EmulatedDevice) -> None:
    replace(patches, answers() | _of_cuda_alone(device), torch.cuda, torch.cuda.memory)


def answers() -> Answers:
    """The functions that `torch.cuda` and `torch.accelerator` share."""
    return {"memory_stats": _statistics} | same(zero, AMOUNTS) | same(nothing, ORDERS)


def free_and_total(device: EmulatedDevice) -> tuple[int, int]:
    return (device.free_memory_bytes, device.total_memory_bytes)


def _of_cuda_alone(device: EmulatedDevice) -> Answers:
    silent = "reset_max_memory_allocated reset_max_memory_cached set_per_process_memory_fraction"
    silent += " reset_accumulated_host_memory_stats reset_peak_host_memory_stats caching_allocator_enable"
    silent += " _record_memory_history _dump_snapshot"
    return {
        "mem_get_info": says(free_and_total(device)),
        "host_memory_stats": _statistics,
        "memory_stats_as_nested_dict": says({}),
        "host_memory_stats_as_nested_dict": says({}),
        "memory_summary": says("CUDA is emulated here: no memory is in use\n"),
        "memory_snapshot": says([]),
        "_snapshot": says({"segments": [], "device_traces": []}),
        "list_gpu_processes": says(f"GPU:0 {device.name}\nno processes are running"),
        "get_allocator_backend": says("native"),
        "get_per_process_memory_fraction": says(1.0),
        "caching_allocator_alloc": refuses("torch.cuda.caching_allocator_alloc()"),
        "caching_allocator_delete": refuses("torch.cuda.caching_allocator_delete()"),
        **same(zero, "memory_cached max_memory_cached"),
        **same(nothing, silent),
    }


def _statistics(*_device: object) -> OrderedDict[str, int]:
    pools, moments = ("all", "small_pool", "large_pool"), ("current", "peak", "allocated", "freed")
    kinds = ["allocation", "segment", "active", "inactive_split", "requested_bytes"]
    kinds += ["allocated_bytes", "reserved_bytes", "active_bytes", "inactive_split_bytes"]
    names = [f"{kind}.{pool}.{moment}" for kind in kinds for pool in pools for moment in moments]
    return OrderedDict.fromkeys([*names, "num_alloc_retries", "num_ooms", "num_sync_all_streams"], 0)
