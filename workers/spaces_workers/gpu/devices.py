"""The GPUs of this host: which there are, which of them the operator means, and how full and warm they are now.

The launcher and the workers call this before anything touches CUDA: it asks the driver through NVML, which makes no
CUDA context and imports no torch. Where there is no GPU, a stand-in takes its place and computes on the CPU.
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

# What stands for "no device" in CUDA_VISIBLE_DEVICES, to CUDA and to batch systems.
_NO_DEVICES = frozenset({"", "-1", "NoDevFiles", "none", "void"})


class GpuError(SpacesError, ValueError):
    """The GPUs that were asked for cannot be had. The message names them and those there are."""


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU, one MIG slice, or one CPU stand-in: what one worker is pinned to, or shares with others."""

    uuid: str
    index: int
    """The driver's number of the GPU; all slices of one GPU have the same."""
    name: str
    memory_bytes: int
    kind: Kind
    sizes: tuple[Size, ...]

    @property
    def visible_devices(self) -> str:
        """What `CUDA_VISIBLE_DEVICES` is set to: the UUID, which means the same whatever the order of devices."""
        return "" if self.kind == "standin" else self.uuid

    @property
    def description(self) -> str:
        """Name, memory and, if Spaces may expect more of `large` than there is, that."""
        if self.kind == "standin":
            return self.name
        text = f"{self.name}, {self.memory_bytes / GIB:.1f} GiB"
        if self.memory_bytes >= LARGE_BYTES:
            return text
        return f"{text}, less than the {LARGE_BYTES // GIB} GiB that a Space may expect of size 'large'"


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """How one device is doing at this moment; None for what the driver does not tell (a MIG slice's utilization)."""

    used_bytes: int
    total_bytes: int
    utilization_percent: int | None
    temperature_celsius: int | None


def discover() -> list[Device]:
    """Return the GPUs of this host in the driver's order, each MIG-enabled one replaced by its slices.

    The list is empty where there is no NVIDIA driver. Raises `GpuError` if there is one that does not work.
    """
    nvml = _opened()
    if nvml is None:
        return []
    try:
        return [device for index in range(nvml.nvmlDeviceGetCount()) for device in _devices_of(nvml, index)]
    except nvml.NVMLError as error:
        raise _broken_driver(error) from error


def standin(index: int) -> Device:
    """Return CPU stand-in number `index`. It answers as an H200 would and serves every size."""
    return Device(f"standin-{index}", index, f"CPU stand-in {index}", H200_BYTES, "standin", ("large", "xlarge"))


def parse_gpus(choice: str, devices: Sequence[Device]) -> list[Device]:
    """Return those of `devices` that `--gpus` means, in the order in which it names them.

    `choice` is `auto` (all, or those in `$CUDA_VISIBLE_DEVICES` if that is set), `none`, or a list of the driver's
    numbers and UUIDs: `0,1`, `GPU-5f0c...,MIG-81e2...`. The number of a MIG-enabled GPU means all its slices.
    Raises `GpuError` for what is not there and for what is named twice.
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
    """Return how `device` is doing, or None for a stand-in and for a GPU that the driver no longer finds."""
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
    """Return the version of the NVIDIA driver, or None where there is none. Raises `GpuError` if it is broken."""
    nvml = _opened()
    return None if nvml is None else str(nvml.nvmlSystemGetDriverVersion())


def _opened() -> Any:  # any: the module pynvml, which has no types, or None where there is no driver
    """Initialise NVML, which counts its users; a second time costs nothing, so that nobody need close it."""
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
        f"the NVIDIA driver of this host does not work: {error}. See that nvidia-smi works (a new driver needs its "
        f"modules loaded anew), or start CPU stand-ins by --gpus none"
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
