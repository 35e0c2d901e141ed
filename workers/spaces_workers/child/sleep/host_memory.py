"""The host memory that a sleeping child keeps its weights in: copies of storages by their content.

Bytes that are the same are kept once, and found again at the next sleep. The memory is pinned where the driver agrees:
then the GPU reads it itself, at the full speed of the bus. All of it goes with the process.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from spaces_workers.child.sleep.card import HostBytes

#: Copies begin at multiples of this, as torch's own.
ALIGNMENT = 64

#: Digest and number of bytes of a content.
Key: TypeAlias = tuple[bytes, int]


class PinningRefused(Exception):
    """The driver does not pin this memory; it is used as it is."""


class Driver(Protocol):
    """The driver's calls that pin memory."""

    def register(self, address: int, size: int) -> None:
        """Pin memory. Raises PinningRefused."""

    def unregister(self, address: int) -> None:
        """Let go of memory that was pinned."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The bytes of a storage in host memory."""

    bytes: HostBytes
    pinned: bool


class HostMemory:
    """Copies by content. `driver` pins them; None: the device has none, and takes it that they are."""

    def __init__(self, driver: Driver | None) -> None:
        self._driver = driver
        self._copies: dict[Key, Copy] = {}
        self._regions: list[_Region] = []

    @property
    def size_bytes(self) -> int:
        """Bytes of all memory that is kept."""
        return sum(region.size for region in self._regions)

    @property
    def pinned_bytes(self) -> int:
        return sum(region.size for region in self._regions if region.pinned)

    def __getitem__(self, key: Key) -> Copy:
        return self._copies[key]

    def add(self, wanted: Iterable[Key], *, pinned: bool) -> list[Key]:
        """Make room for contents; returns those that are new and have no bytes yet. Raises OSError, MemoryError."""
        new = list(dict.fromkeys(key for key in wanted if key not in self._copies))
        if not new:
            return []
        region = _Region(sum(_rounded(size) for _, size in new))
        if pinned:
            region.pin(self._driver)
        self._regions.append(region)
        at = 0
        for digest, size in new:
            self._copies[digest, size] = Copy(region.bytes[at : at + size], region.pinned)
            region.keys.add((digest, size))
            at += _rounded(size)
        return new

    def keep_only(self, keys: Collection[Key]) -> None:
        """Drop all other contents; memory is freed once none of the contents that came with it is kept."""
        self._copies = {key: copy for key, copy in self._copies.items() if key in keys}
        for region in self._regions:
            region.keys.intersection_update(keys)
            if not region.keys:
                region.unpin(self._driver)
        self._regions = [region for region in self._regions if region.keys]


class _Region:
    """Memory that is mapped, and pinned, as one."""

    def __init__(self, size: int) -> None:
        import torch

        self.size = size
        self.pinned = False
        self.keys: set[Key] = set()
        self._registered = False
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        self.bytes = torch.frombuffer(memory, dtype=torch.uint8)  # which keeps the mapping

    def pin(self, driver: Driver | None) -> None:
        if driver is None:
            self.pinned = True
            return
        try:
            driver.register(self.bytes.data_ptr(), self.size)
        except PinningRefused:
            return
        self.pinned = self._registered = True

    def unpin(self, driver: Driver | None) -> None:
        if self._registered and driver is not None:
            driver.unregister(self.bytes.data_ptr())
        self._registered = False


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
