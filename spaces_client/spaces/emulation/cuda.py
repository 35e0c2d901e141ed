"""`torch.cuda.*` and `torch.accelerator.*`: the answers of a machine with one GPU, and silence where a real one works."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn  # torch is not typed here

import torch

from spaces.emulation.device import DeviceProperties, EmulatedDevice
from spaces.emulation.errors import needs_gpu
from spaces.emulation.marks import CUDA_DEVICE
from spaces.emulation.patches import Patches
from spaces.emulation.streams import DEFAULT_STREAM

Answer = Callable[..., Any]


def install(patches: Patches, device: EmulatedDevice) -> None:
    cuda = torch.cuda
    _replace(patches, [cuda], _identity(device))
    _replace(patches, [cuda, cuda.memory], _memory(device))
    _replace(patches, [cuda, cuda.random], _random())
    _replace(patches, [cuda.nvtx], dict.fromkeys(["range_push", "range_pop", "mark", "range_start", "range_end"], _none))
    _replace(patches, [cuda.profiler], dict.fromkeys(["start", "stop", "init"], _none))
    _replace(patches, [cuda], dict.fromkeys(["device", "device_of"], _DeviceContext))
    _replace(patches, [torch.accelerator], _accelerator(device))
    _replace(patches, [torch._C], {"_cuda_init": _reached_the_driver, "_get_accelerator": lambda *check: CUDA_DEVICE})
    _replace(patches, [torch.backends.cuda], {"is_built": lambda: True})
    # Code that asks means to call cuDNN with what are really CPU tensors: available, but never acceptable.
    _replace(patches, [torch.backends.cudnn], {"is_acceptable": lambda tensor: False})
    _replace(patches, [torch.backends.cudnn], {"is_available": lambda: True, "version": lambda: 91_002})
    patches.value(cuda, "default_generators", (torch.default_generator,))
    if torch.version.cuda is None:
        patches.value(torch.version, "cuda", "12.8")


def _replace(patches: Patches, owners: list[Any], answers: dict[str, Answer]) -> None:
    for owner in owners:
        for name, answer in answers.items():
            patches.function(owner, name, answer)


def _none(*args: object, **kwargs: object) -> None:
    return None


def _zero(*args: object, **kwargs: object) -> int:
    return 0


def _reached_the_driver(*args: object, **kwargs: object) -> NoReturn:
    raise needs_gpu("This call")


def _refusal(name: str) -> Answer:
    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise needs_gpu(f"torch.cuda.{name}()")

    return refuse


def _identity(device: EmulatedDevice) -> dict[str, Answer]:
    properties = DeviceProperties.of(device)
    answers: dict[str, Answer] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": _zero,
        "get_device_name": lambda device_=None: device.name,
        "get_device_capability": lambda device_=None: device.capability,
        "get_device_properties": lambda device_=None: properties,
        "is_bf16_supported": lambda including_emulation=True: True,
        "is_tf32_supported": lambda: True,
        "get_arch_list": lambda: [device.arch],
        "get_gencode_flags": lambda: f"-gencode compute={device.arch.replace('sm', 'compute')},code={device.arch}",
        "can_device_access_peer": lambda device_, peer: False,
        "init": _none,
        "_lazy_init": _reached_the_driver,
        "_is_in_bad_fork": lambda: False,
        "_check_bf16_tensor_supported": lambda device_: True,
        "cudart": _refusal("cudart"),
        "current_blas_handle": _refusal("current_blas_handle"),
        "get_sync_debug_mode": _zero,
    }
    answers |= dict.fromkeys(["set_device", "synchronize", "ipc_collect", "set_sync_debug_mode", "_sleep"], _none)
    readings = ["utilization", "memory_usage", "temperature", "power_draw", "clock_rate", "device_memory_used"]
    return answers | dict.fromkeys(readings, _zero)


def _memory(device: EmulatedDevice) -> dict[str, Answer]:
    statistics: Answer = lambda device_=None: OrderedDict(_STATISTICS)  # noqa: E731 - beside its neighbours
    answers: dict[str, Answer] = {
        "mem_get_info": lambda device_=None: (device.free_memory_bytes, device.total_memory_bytes),
        "memory_stats": statistics,
        "host_memory_stats": lambda: OrderedDict(),
        "memory_stats_as_nested_dict": lambda device_=None: {},
        "host_memory_stats_as_nested_dict": lambda: {},
        "memory_summary": lambda device_=None, abbreviated=False: "CUDA is emulated here: no memory is in use\n",
        "memory_snapshot": lambda mempool_id=None, **options: [],
        "_snapshot": lambda *args, **options: {"segments": [], "device_traces": []},
        "list_gpu_processes": lambda device_=None: f"GPU:0 {device.name}\nno processes are running",
        "get_allocator_backend": lambda: "native",
        "get_per_process_memory_fraction": lambda device_=None: 1.0,
        "caching_allocator_alloc": _refusal("caching_allocator_alloc"),
        "caching_allocator_delete": _refusal("caching_allocator_delete"),
    }
    amounts = ["memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"]
    amounts += ["memory_cached", "max_memory_cached"]
    silent = ["empty_cache", "reset_peak_memory_stats", "reset_accumulated_memory_stats"]
    silent += ["reset_max_memory_allocated", "reset_max_memory_cached", "set_per_process_memory_fraction"]
    silent += ["reset_accumulated_host_memory_stats", "reset_peak_host_memory_stats", "caching_allocator_enable"]
    silent += ["_record_memory_history", "_dump_snapshot"]
    return answers | dict.fromkeys(amounts, _zero) | dict.fromkeys(silent, _none)


_STATISTICS = {
    f"{what}.{pool}.{when}": 0
    for what in ("allocation", "segment", "active", "allocated_bytes", "reserved_bytes", "active_bytes", "inactive_split")
    for pool in ("all", "small_pool", "large_pool")
    for when in ("current", "peak", "allocated", "freed")
} | {"num_alloc_retries": 0, "num_ooms": 0, "max_split_size": -1}


def _random() -> dict[str, Answer]:
    """Emulated CUDA draws from the CPU's generator, so that seeding either makes a run repeatable."""
    generator = torch.default_generator
    return {
        "manual_seed": lambda seed: generator.manual_seed(int(seed)) and None,
        "manual_seed_all": lambda seed: generator.manual_seed(int(seed)) and None,
        "seed": lambda: generator.seed() and None,
        "seed_all": lambda: generator.seed() and None,
        "initial_seed": lambda: generator.initial_seed(),
        "get_rng_state": lambda device="cuda": generator.get_state(),
        "get_rng_state_all": lambda: [generator.get_state()],
        "set_rng_state": lambda new_state, device="cuda": generator.set_state(new_state) and None,
        "set_rng_state_all": lambda new_states: [generator.set_state(state) for state in new_states] and None,
    }


def _accelerator(device: EmulatedDevice) -> dict[str, Answer]:
    answers: dict[str, Answer] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_accelerator": lambda check_available=False: torch.device("cuda"),
        "current_stream": lambda device_=None: DEFAULT_STREAM,
        "device_index": _DeviceContext,
        "get_memory_info": lambda device_=None: (device.free_memory_bytes, device.total_memory_bytes),
        "memory_stats": lambda device_=None: OrderedDict(_STATISTICS),
        "get_device_capability": lambda device_=None: {"supported_dtypes": {torch.float32, torch.bfloat16}},
    }
    indices = ["current_device_index", "current_device_idx"]
    amounts = ["memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"]
    silent = ["set_device_index", "set_device_idx", "set_stream", "synchronize", "empty_cache", "empty_host_cache"]
    silent += ["reset_accumulated_memory_stats", "reset_peak_memory_stats"]
    present = {name for name in indices + amounts + silent if hasattr(torch.accelerator, name)}
    return (
        answers
        | dict.fromkeys(present.intersection(indices + amounts), _zero)
        | dict.fromkeys(present.intersection(silent), _none)
    )


class _DeviceContext(contextlib.ContextDecorator):
    """`with torch.cuda.device(0):`; there is only one device to be on."""

    def __init__(self, device: object = None) -> None:
        self.idx = 0
        self.prev_idx = 0

    def __enter__(self) -> _DeviceContext:
        return self

    def __exit__(self, *error: object) -> None:
        pass

