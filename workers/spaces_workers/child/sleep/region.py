"""A part of the host memory of a sleeper: copies that are mapped, and pinned, as one."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Protocol, TypeAlias

from spaces_workers.child.sleep.card import HostBytes
from spaces_workers.child.sleep.sealed_memory import mapped

#: Copies begin at multiples of this, as torch's own.
ALIGNMENT = 64

#: Digest and number of bytes of a content.
Key: TypeAlias = tuple[bytes, int]


class PinningRefused(Exception):
    """The driver does not pin this memory; it is used as it is."""


class Driver(Protocol):
    """The driver's calls that pin memory."""

    @property
    def pins_read_only(self) -> bool:
        """Whether memory can be pinned that this process must not write to."""

    def register(self, address: int, size: int, *, read_only: bool) -> None:
        """Pin memory. Raises PinningRefused."""

    def unregister(self, address: int) -> None:
        """Let go of memory that was pinned."""


class Region:
    """Two processes with the same contents have the same regions: the layout follows from the contents alone."""

    def __init__(self, contents: Sequence[Key]) -> None:
        import torch

        self.places: dict[Key, int] = {}
        self.size = 0
        for digest, size in sorted(contents):
            self.places[digest, size] = self.size
            self.size += -(-size // ALIGNMENT) * ALIGNMENT
        self.kept = set(self.places)
        self.pinned = self.is_shared = False
        self._registered = False
        memory = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        self.bytes: HostBytes = torch.frombuffer(memory, dtype=torch.uint8)  # which keeps the mapping

    @cached_property
    def name(self) -> bytes:
        """The same for the same contents. It is a hint only, as the digests are."""
        return blake2b(b"".join(digest + size.to_bytes(8) for digest, size in self.places), digest_size=16).digest()

    def of(self, key: Key) -> HostBytes:
        """The bytes of one of the contents."""
        return self.bytes[self.places[key] : self.places[key] + key[1]]

    def pin(self, driver: Driver | None) -> None:
        """Pin it, if the driver agrees. Without a driver it counts as pinned."""
        try:
            self._register(self.bytes, driver, read_only=False)
        except PinningRefused:
            pass

    def unpin(self, driver: Driver | None) -> None:
        if self._registered and driver is not None:
            driver.unregister(self.bytes.data_ptr())
        self._registered = self.pinned = False

    def share(self, fd: int, driver: Driver | None) -> None:
        """Use this sealed memory with the same bytes instead of its own. Raises OSError, PinningRefused."""
        common, old = mapped(fd, self.size), self.bytes
        if self.pinned:
            self._register(common, driver, read_only=True)
            if driver is not None:
                driver.unregister(old.data_ptr())
        self.bytes, self.is_shared = common, True

    def _register(self, memory: HostBytes, driver: Driver | None, *, read_only: bool) -> None:
        if driver is not None:
            driver.register(memory.data_ptr(), self.size, read_only=read_only)
            self._registered = True
        self.pinned = True
