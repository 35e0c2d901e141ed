"""Copies between storages of a GPU and host memory that could not be pinned, gathered and made together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any  # torch is not typed here

from spaces_workers.child.pinned_buffers import BUFFER_BYTES, CudaGpu, Gpu, Piece, pieces, to_device, to_host
from spaces_workers.child.sleep.card import HostBytes
from spaces_workers.child.upload import WORTHWHILE

#: A tensor of bytes on the host, and one on the GPU.
Pair = tuple[HostBytes, Any]


class UnpinnedCopies:
    """Copies that are complete after `finish`, if they were not dropped before."""

    def __init__(self, gpu: Gpu | None = None) -> None:
        self._gpu = gpu or CudaGpu()
        self._leaving: list[Pair] = []
        self._coming: list[Pair] = []

    def to_host(self, host: HostBytes, device: Any) -> None:
        """Copy from the GPU."""
        self._leaving.append((host, device))

    def to_device(self, host: HostBytes, device: Any) -> None:
        """Copy to the GPU."""
        self._coming.append((host, device))

    def drop(self) -> None:
        """Forget those that were not made yet."""
        self._leaving, self._coming = [], []

    def finish(self) -> None:
        """Make them. Those with few bytes in all are copied plainly, which takes less time than pinning buffers."""
        leaving, coming = self._leaving, self._coming
        self.drop()
        if _size(leaving) >= WORTHWHILE:
            to_host(_pieces(leaving), self._gpu)
        else:
            for host, device in leaving:
                host.copy_(device)
        if _size(coming) >= WORTHWHILE:
            to_device(_pieces(coming), self._gpu)
        else:
            for host, device in coming:
                device.copy_(host)


def _size(pairs: Iterable[Pair]) -> int:
    return sum(host.numel() for host, _ in pairs)


def _pieces(pairs: Iterable[Pair]) -> Iterator[Piece]:
    for host, device in pairs:
        yield from pieces(host.data_ptr(), device, BUFFER_BYTES)
