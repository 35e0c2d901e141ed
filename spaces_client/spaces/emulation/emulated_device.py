"""The GPU that is emulated; nothing here needs torch."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

# Bytes of an empty CUDA context, so that free memory reads as on a real card.
CONTEXT_BYTES = 309_002_240


@dataclass(frozen=True, slots=True)
class EmulatedDevice:
    """A GPU's identity, for `torch.cuda.get_device_properties` and related functions."""

    name: str
    total_memory_bytes: int
    major: int
    minor: int
    multi_processor_count: int

    @property
    def capability(self) -> tuple[int, int]:
        return (self.major, self.minor)

    @property
    def free_memory_bytes(self) -> int:
        return self.total_memory_bytes - CONTEXT_BYTES

    @property
    def arch(self) -> str:
        return f"sm_{self.major}{self.minor}"


H200 = EmulatedDevice("NVIDIA H200", 74_625_056_768, 9, 0, 60)
RTX_PRO_6000 = EmulatedDevice("NVIDIA RTX PRO 6000 Blackwell Server Edition", 101_973_950_464, 12, 0, 188)


@dataclass(frozen=True, slots=True)
class DeviceProperties:
    """`torch.cuda.get_device_properties(0)` of an emulated device, with the attributes that Spaces read."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int
    uuid: uuid.UUID = field(default_factory=lambda: uuid.uuid5(uuid.NAMESPACE_DNS, "emulated.zerofarm"))
    L2_cache_size: int = 52_428_800
    warp_size: int = 32
    max_threads_per_block: int = 1024
    max_threads_per_multi_processor: int = 2048
    regs_per_multiprocessor: int = 65_536
    shared_memory_per_block: int = 49_152
    shared_memory_per_block_optin: int = 232_448
    shared_memory_per_multiprocessor: int = 233_472
    pci_bus_id: int = 0
    pci_device_id: int = 0
    pci_domain_id: int = 0
    clock_rate: int = 1_980_000
    memory_clock_rate: int = 3_201_000
    memory_bus_width: int = 6144
    is_integrated: int = 0
    is_multi_gpu_board: int = 0
    gcnArchName: str = ""  # noqa: N815 - torch's own spelling

    @classmethod
    def of(cls, device: EmulatedDevice) -> DeviceProperties:
        return cls(device.name, device.major, device.minor, device.total_memory_bytes, device.multi_processor_count)
