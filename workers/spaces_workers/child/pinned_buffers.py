"""Copies between a GPU and host memory that is not pinned, both ways.

A plain copy of such memory goes through one small buffer of the driver. Here several threads, with two pinned buffers
each, fill or empty one buffer while the GPU copies the other.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol  # Any: torch is not typed here

#: Copying threads. Source: measured on an H100 and an H200, see `benchmarks/README.md`; more threads gain nothing.
LANES = 8

#: Bytes of each of a lane's two buffers. Pinning takes half a second for each GiB, so they are as small as possible.
BUFFER_BYTES = 8 << 20


class Event(Protocol):
    """Marks a place in a lane's copies."""

    def record(self) -> None: ...
    def synchronize(self) -> None:
        """Wait until all copies before the mark are complete."""


class Gpu(Protocol):
    """The calls of the GPU that a lane needs."""

    def buffer(self) -> Any:
        """A tensor of `BUFFER_BYTES` bytes in pinned memory."""

    def stream(self) -> AbstractContextManager[object]:
        """Within this the lane's copies are in a stream of their own."""

    def event(self) -> Event:
        """An event of the present stream."""

    def copy(self, target: Any, source: Any) -> None:
        """Begin to copy a tensor of bytes."""


class CudaGpu:
    """The current GPU of this process, through torch."""

    def buffer(self) -> Any:
        import torch

        return torch.empty(BUFFER_BYTES, dtype=torch.uint8, pin_memory=True)

    def stream(self) -> AbstractContextManager[object]:
        import torch

        stream: AbstractContextManager[object] = torch.cuda.stream(torch.cuda.Stream())
        return stream

    def event(self) -> Event:
        import torch

        event: Event = torch.cuda.Event()
        return event

    def copy(self, target: Any, source: Any) -> None:
        target.copy_(source, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of bytes, at most as large as a buffer."""

    host: int  #: address
    device: Any  #: a tensor of bytes on the GPU
    size: int


def pieces(address: int, device: Any, at_most: int) -> Iterator[Piece]:
    """All bytes of a tensor on the GPU and their place in host memory, in pieces of at most `at_most` bytes."""
    for begin in range(0, device.numel(), at_most):
        part = device[begin : begin + at_most]
        yield Piece(address + begin, part, part.numel())


def batched(pieces: Iterable[Piece], at_most: int) -> Iterator[list[Piece]]:
    """Group pieces into batches of at most `at_most` bytes."""
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        if size + piece.size > at_most:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += piece.size
    if batch:
        yield batch


def to_device(pieces: Iterable[Piece], gpu: Gpu) -> None:
    """Copy pieces from the host to the GPU; they are complete."""
    _in_lanes(_fill, pieces, gpu)


def to_host(pieces: Iterable[Piece], gpu: Gpu) -> None:
    """Copy pieces from the GPU to the host; they are complete. No stream may be writing to them."""
    _in_lanes(_empty, pieces, gpu)


def _in_lanes(
    run: Callable[[Gpu, Sequence[tuple[Any, Event]], Iterator[list[Piece]]], None], pieces: Iterable[Piece], gpu: Gpu
) -> None:
    batches = _Shared(batched(pieces, BUFFER_BYTES))

    def lane() -> None:
        with gpu.stream():
            run(gpu, [(gpu.buffer(), gpu.event()) for _ in "ab"], iter(batches))

    with ThreadPoolExecutor(max_workers=LANES, thread_name_prefix="lane") as threads:
        for running in [threads.submit(lane) for _ in range(LANES)]:
            running.result()


def _fill(gpu: Gpu, buffers: Sequence[tuple[Any, Event]], batches: Iterator[list[Piece]]) -> None:
    for number, batch in enumerate(batches):
        buffer, copied = buffers[number % 2]
        copied.synchronize()
        for piece, part in _parts(batch, buffer):
            ctypes.memmove(part.data_ptr(), piece.host, piece.size)
            gpu.copy(piece.device, part)
        copied.record()
    for _, copied in buffers:
        copied.synchronize()


def _empty(gpu: Gpu, buffers: Sequence[tuple[Any, Event]], batches: Iterator[list[Piece]]) -> None:
    coming: tuple[list[Piece], Any, Event] | None = None
    for number, batch in enumerate(batches):
        buffer, copied = buffers[number % 2]
        for piece, part in _parts(batch, buffer):
            gpu.copy(part, piece.device)
        copied.record()
        _put_down(coming)
        coming = batch, buffer, copied
    _put_down(coming)


def _put_down(coming: tuple[list[Piece], Any, Event] | None) -> None:
    if coming is not None:
        batch, buffer, copied = coming
        copied.synchronize()
        for piece, part in _parts(batch, buffer):
            ctypes.memmove(piece.host, part.data_ptr(), piece.size)


def _parts(batch: Iterable[Piece], buffer: Any) -> Iterator[tuple[Piece, Any]]:
    """Each piece with its part of a buffer."""
    at = 0
    for piece in batch:
        yield piece, buffer[at : at + piece.size]
        at += piece.size


class _Shared:
    """An iterator that several threads take from."""

    def __init__(self, batches: Iterator[list[Piece]]) -> None:
        self._batches = batches
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[list[Piece]]:
        while True:
            with self._lock:
                batch = next(self._batches, None)
            if batch is None:
                return
            yield batch
