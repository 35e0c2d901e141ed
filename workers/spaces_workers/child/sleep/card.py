"""The memory of a device as one child uses it, and the bus to it; a real GPU and a stand-in implement it."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

#: A `torch.UntypedStorage`, which is not typed here.
Storage: TypeAlias = Any

#: A tensor of bytes in host memory.
HostBytes: TypeAlias = Any


class Card(Protocol):
    """Moves the bytes of storages. The storages stay the same objects, and so do all tensors that share them."""

    def obstacle(self) -> str:
        """Why the storages of this process must stay where they are, as a clause; empty if they may move."""

    def holds(self, storage: Storage) -> bool:
        """Whether a storage is in the device's memory and can leave it."""

    def fetch(self, storage: Storage, into: HostBytes, *, pinned: bool) -> None:
        """Copy a storage to the host; the copy is complete after `finish`."""

    def release(self, storage: Storage) -> None:
        """Free the device memory of a storage, which is empty until it is restored."""

    def prepare(self, size: int) -> None:
        """Get ready to restore so many bytes."""

    def restore(self, storage: Storage, source: HostBytes, *, pinned: bool) -> None:
        """Give a storage device memory and bytes again, complete after `finish`. Raises an `OutOfMemoryError`."""

    def drop(self) -> None:
        """Forget the copies that are not made yet: their storages or their host memory are given up."""

    def settle(self) -> None:
        """Wait until all that was begun is done."""

    def finish(self) -> None:
        """Wait until all work on the device is done, and give memory that nothing uses back to the driver."""
