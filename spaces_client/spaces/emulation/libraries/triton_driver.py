"""Triton without a driver: questions about the GPU are answered, kernels compile for it, and none can be launched."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any, NoReturn  # Triton is not typed here

from spaces.emulation.emulated_device import DeviceProperties, EmulatedDevice
from spaces.emulation.errors import needs_gpu
from spaces.emulation.patching.constant_functions import refuses, says
from spaces.emulation.patching.patches import Patches

WARP_SIZE = 32


def install(patches: Patches, module: Any, device: EmulatedDevice) -> None:
    choice = module.driver
    for name in ("active", "default"):
        # Since Triton 3.5 these are properties, each over a field of its name.
        field = f"_{name}" if f"_{name}" in vars(choice) else name
        patches.value(choice, field, EmulatedDriver(device))


class EmulatedDriver:
    """In place of `triton.runtime.driver.active`."""

    launcher_cls = staticmethod(refuses("A Triton kernel"))
    get_empty_cache_for_benchmark = staticmethod(refuses("A benchmark of Triton's"))
    get_current_device = get_current_stream = staticmethod(says(0))
    set_current_device = staticmethod(says(None))

    def __init__(self, device: EmulatedDevice) -> None:
        self._device = device
        self.utils = SimpleNamespace(
            get_device_properties=says(_properties(DeviceProperties.of(device))),
            load_binary=refuses("A Triton kernel"),
        )

    def get_current_target(self) -> Any:
        return importlib.import_module("triton.backends.compiler").GPUTarget(
            "cuda", self._device.major * 10 + self._device.minor, WARP_SIZE
        )

    def get_device_capability(self, _device: int = 0) -> tuple[int, int]:
        return self._device.capability

    def get_active_torch_device(self) -> Any:
        import torch

        return torch.device("cuda", 0)

    def get_device_interface(self) -> Any:
        import torch

        return torch.cuda

    def get_benchmarker(self) -> Any:
        return refuses("The tuning of a Triton kernel")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise needs_gpu(f"triton.runtime.driver.active.{name}")


def _properties(device: DeviceProperties) -> dict[str, int]:
    """In Triton's own names."""
    return {
        "max_shared_mem": device.shared_memory_per_block_optin,
        "max_num_regs": device.regs_per_multiprocessor,
        "multiprocessor_count": device.multi_processor_count,
        "warpSize": WARP_SIZE,
        "sm_clock_rate": device.clock_rate,
        "mem_clock_rate": device.memory_clock_rate,
        "mem_bus_width": device.memory_bus_width,
    }
