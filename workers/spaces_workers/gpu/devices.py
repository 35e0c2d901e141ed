"""The GPUs of this host: lists them, selects those that the operator names, and reads their memory and temperature.

The launcher and the workers call this before anything touches CUDA: it asks the driver through NVML, which makes no
CUDA context and imports no torch. On a host without a GPU a stand-in replaces it and computes on the CPU.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from spaces.errors import SpacesError

Kind: TypeAlias = Literal["gpu", "mig", "standin"]
Size: TypeAlias = Literal["large", "xlarge"]

MIB = 2**20
GIB = 2**30
LARGE_BYTES = 60 * GIB  # half an H200; a MIG 3g.71gb slice has 69.8 GiB
XLARGE_BYTES = 120 * GIB  # a whole H200 has 140.4 GiB
H200_BYTES = 143_771 * MIB  # as NVML reports it

# Values of CUDA_VISIBLE_DEVICES that mean "no device" to CUDA and to batch systems.
_NO_DEVICES = frozenset({"", "-1", "NoDevFiles", "none", "void"})


class GpuError(SpacesError, ValueError):
    """The requested GPUs are not available. The message names them and the available GPUs."""


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, one MIG slice, or one CPU stand-in: a worker is pinned to it, alone or with others."""

    uuid: str
    index: int
    """The driver's number of the GPU; all slices of one GPU share it."""
    name: str
    memory_bytes: int
    kind: Kind
    sizes: tuple[Size, ...]

    @property
    def visible_devices(self) -> str:
        """The value for `CUDA_VISIBLE_DEVICES`: the UUID, which does not depend on the order of devices."""
        return "" if self.kind == "standin" else self.uuid

    @property
    def description(self) -> str:
        """Name and memory, with a remark if the memory is less than a Space may expect of size `large`."""
        if self.kind == "standin":
            return self.name
        text = f"{self.name}, {self.memory_bytes / GIB:.1f} GiB"
        if self.memory_bytes >= LARGE_BYTES:
            return text
        return f"{text}, less than the {LARGE_BYTES // GIB} GiB that a Space may expect of size 'large'"


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """The current load of one device; None for a value that the driver does not report (a MIG slice's utilization)."""

    used_bytes: int
    total_bytes: int
    utilization_percent: int | None
    temperature_celsius: int | None


def discover() -> list[Device]:
    """Return the GPUs of this host in the driver's order, each MIG-enabled one replaced by its slices.

    The list is empty if there is no NVIDIA driver. Raises `GpuError` if the driver does not work.
    """
    nvml = _opened()
    if nvml is None:
        return []
    try:
        return [device for index in range(nvml.nvmlDeviceGetCount()) for device in _devices_of(nvml, index)]
    except nvml.NVMLError as error:
        raise _broken_driver(error) from error


def standin(index: int) -> Device:
    """Return CPU stand-in number `index`. It reports an H200's memory and serves every size."""
    return Device(f"standin-{index}", index, f"CPU stand-in {index}", H200_BYTES, "standin", ("large", "xlarge"))


def parse_gpus(choice: str, devices: Sequence[Device]) -> list[Device]:
    """Return the `devices` that `--gpus` names, in its order.

    `choice` is `auto` (all, or those in `$CUDA_VISIBLE_DEVICES` if that is set), `none`, or a list of the driver's
    numbers and UUIDs: `0,1`, `GPU-5f0c...,MIG-81e2...`. The number of a MIG-enabled GPU stands for all its slices.
    Raises `GpuError` for a GPU that is missing or named twice.
    """
    if choice == "none":
        return []
    if choice != "auto":
        return _chosen(choice, devices, "--gpus")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return list(devices)
    return [] if visible in _NO_DEVICES else _chosen(visible, devices, "CUDA_VISIBLE_DEVICES")


def reading(device: Device) -> DeviceReading | None:
    """Return the current load of `device`, or None for a stand-in and for a GPU that the driver no longer finds."""
    nvml = _opened() if device.kind != "standin" else None
    if nvml is None:
        return None
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    return DeviceReading(memory.used, memory.total, _utilization(nvml, handle), _temperature(nvml, handle, device))


def driver_version() -> str | None:
    """Return the version of the NVIDIA driver, or None without a driver. Raises `GpuError` if it does not work."""
    nvml = _opened()
    return None if nvml is None else str(nvml.nvmlSystemGetDriverVersion())


def _opened() -> Any:  # any: the module pynvml, which has no types, or None without a driver
    """Initialise NVML. It counts its users and a repeated call costs nothing, so it is never closed."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        return None
    except pynvml.NVMLError as error:
        raise _broken_driver(error) from error
    return pynvml


def _broken_driver(error: Exception) -> GpuError:
    return GpuError(
        f"the NVIDIA driver of this host does not work: {error}. Check that nvidia-smi works (a new driver needs its "
        f"modules reloaded), or start CPU stand-ins by --gpus none"
    )


def _devices_of(nvml: Any, index: int) -> list[Device]:  # any: the untyped module pynvml
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    if not _has_mig(nvml, handle):
        return [_device(nvml, handle, index, "gpu")]
    slices = []
    for position in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, position)
        except nvml.NVMLError_NotFound:
            continue
        slices.append(_device(nvml, part, index, "mig"))
    return slices


def _has_mig(nvml: Any, handle: Any) -> bool:  # any: the untyped module pynvml and its handles
    try:
        current, _pending = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError_NotSupported:
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _device(nvml: Any, handle: Any, index: int, kind: Kind) -> Device:  # any: as above
    memory_bytes = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return Device(
        uuid=nvml.nvmlDeviceGetUUID(handle),
        index=index,
        name=nvml.nvmlDeviceGetName(handle),
        memory_bytes=memory_bytes,
        kind=kind,
        sizes=("large", "xlarge") if memory_bytes >= XLARGE_BYTES else ("large",),
    )


def _utilization(nvml: Any, handle: Any) -> int | None:  # any: as above
    try:
        return int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    except nvml.NVMLError:
        return None


def _temperature(nvml: Any, handle: Any, device: Device) -> int | None:  # any: as above
    try:
        if device.kind == "mig":
            handle = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        return int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    except nvml.NVMLError:
        return None


def _chosen(names: str, devices: Sequence[Device], origin: str) -> list[Device]:
    chosen: list[Device] = []
    for name in (part.strip() for part in names.split(",")):
        meant = [device for device in devices if name in (device.uuid, str(device.index))]
        if not meant:
            raise GpuError(
                f"{origin}={names} asks for GPU {name!r}, which is not here: {_inventory(devices)}. "
                f"Give numbers or UUIDs of these, 'auto' or 'none'"
            )
        if any(device in chosen for device in meant):
            raise GpuError(f"{origin}={names} names GPU {name!r} twice; to share it, give --workers-per-gpu")
        chosen += meant
    return chosen


def _inventory(devices: Sequence[Device]) -> str:
    if not devices:
        return "the driver finds no GPU"
    return "there are " + ", ".join(f"{device.index} ({device.name}, {device.uuid})" for device in devices)
