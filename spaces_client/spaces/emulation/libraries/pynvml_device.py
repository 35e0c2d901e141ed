"""NVML on a host without the driver: the answers of a machine with one idle GPU, the emulated one."""

from __future__ import annotations

from typing import Any  # pynvml is not typed here

from spaces.emulation.emulated_device import DeviceProperties, EmulatedDevice
from spaces.emulation.libraries.host_driver import host_has_driver
from spaces.emulation.patching.constant_functions import Answers, nothing, refuses, replace, same, says, zero
from spaces.emulation.patching.patches import Patches

DRIVER_VERSION = "570.0"
CUDA_VERSION = 12_080


def install(patches: Patches, nvml: Any, device: EmulatedDevice) -> None:
    if host_has_driver():
        return
    names = [name for name in vars(nvml) if name.startswith("nvml") and callable(getattr(nvml, name))]
    others = {name: refuses(f"pynvml.{name}()") for name in names if not isinstance(getattr(nvml, name), type)}
    known = {name: answer for name, answer in _answers(nvml, device).items() if name in names}
    replace(patches, others | known, nvml)


def _answers(nvml: Any, device: EmulatedDevice) -> Answers:
    def memory(*_handle: object, **_options: object) -> Any:
        info = nvml.c_nvmlMemory_t()
        info.total, info.free, info.used = device.total_memory_bytes, device.total_memory_bytes, 0
        return info

    handles = "nvmlDeviceGetHandleByIndex nvmlDeviceGetHandleByUUID nvmlDeviceGetHandleByPciBusId"
    handles += " nvmlDeviceGetHandleBySerial"
    zeros = "nvmlDeviceGetIndex nvmlDeviceGetMinorNumber nvmlDeviceGetTemperature nvmlDeviceGetPowerUsage"
    zeros += " nvmlDeviceGetFanSpeed nvmlDeviceGetPerformanceState"
    processes = "nvmlDeviceGetComputeRunningProcesses nvmlDeviceGetGraphicsRunningProcesses"
    return {
        **same(nothing, "nvmlInit nvmlInitWithFlags nvmlShutdown"),
        **same(says(nvml.c_nvmlDevice_t()), handles),
        **same(zero, zeros),
        **same(says([]), processes),
        "nvmlSystemGetDriverVersion": says(DRIVER_VERSION),
        **same(says(CUDA_VERSION), "nvmlSystemGetCudaDriverVersion nvmlSystemGetCudaDriverVersion_v2"),
        "nvmlDeviceGetCount": says(1),
        "nvmlDeviceGetName": says(device.name),
        "nvmlDeviceGetUUID": says(f"GPU-{DeviceProperties.of(device).uuid}"),
        "nvmlDeviceGetCudaComputeCapability": says(device.capability),
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetUtilizationRates": lambda *_handle: nvml.c_nvmlUtilization_t(),
    }
