"""Copies weights from host memory to the GPU, in a child that has just left the emulation.

A plain copy of unpinned memory goes through one small buffer of the driver. Here several threads, with two pinned
buffers each, fill one buffer while the GPU copies from the other.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any  # torch is not typed here

#: Copying threads. Source: measured on an H100 and an H200, see `benchmarks/README.md`; more threads gain nothing.
LANES = 8

#: Bytes of each of a lane's two buffers. Pinning takes half a second for each GiB, so they are as small as possible.
BUFFER_BYTES = 8 << 20

#: Weights with fewer bytes in all are copied plainly, which takes less time than pinning the buffers.
WORTHWHILE = 64 << 20

#: The size up to which torch's allocator uses separate segments, and the size to which it rounds others.
#: Source: kSmallSize and kMinBlockSize of c10/core/AllocatorConfig.h.
SMALL_BYTES, ROUNDING_BYTES = 1 << 20, 512


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of bytes of one storage, at most as large as a buffer."""

    source: int  #: address
    target: Any  #: a tensor of bytes on the GPU
    size: int


def upload(storages: list[Any]) -> list[Any]:
    """Copy host storages to the current GPU; returns the new storages when all bytes are copied."""
    import torch

    if not storages:
        return []
    sizes = [storage.nbytes() for storage in storages]
    # One allocation from the driver, freed at once: torch then cuts all storages that are not small from it.
    torch.empty(sum(_rounded(size) for size in sizes if size > SMALL_BYTES), dtype=torch.uint8, device="cuda")
    targets = [torch.UntypedStorage(size, device="cuda") for size in sizes]
    if sum(sizes) < WORTHWHILE:
        return [target.copy_(storage) for target, storage in zip(targets, storages, strict=True)]
    batches = _Shared(batched(pieces(storages, targets, BUFFER_BYTES), BUFFER_BYTES))
    lanes = [_Lane(batches) for _ in range(LANES)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.finish()
    torch.cuda.synchronize()
    return targets


def _rounded(size: int) -> int:
    return -(-size // ROUNDING_BYTES) * ROUNDING_BYTES


def pieces(storages: list[Any], targets: list[Any], at_most: int) -> Iterator[Piece]:
    """All bytes of the storages, in order, in pieces of one storage and at most `at_most` bytes."""
    import torch

    for storage, target in zip(storages, targets, strict=True):
        whole = torch.empty(0, dtype=torch.uint8, device=target.device).set_(target)
        for begin in range(0, storage.nbytes(), at_most):
            part = whole[begin : begin + at_most]
            yield Piece(storage.data_ptr() + begin, part, part.numel())


def batched(pieces: Iterator[Piece], at_most: int) -> Iterator[list[Piece]]:
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


class _Lane:
    """A thread with two buffers: it fills one while the GPU copies from the other."""

    def __init__(self, batches: _Shared) -> None:
        self._batches = batches
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Wait for the end. Raises the thread's error."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._copy()
        except BaseException as error:  # raised by `finish`
            self._error = error

    def _copy(self) -> None:
        import torch

        buffers = [(torch.empty(BUFFER_BYTES, dtype=torch.uint8, pin_memory=True), torch.cuda.Event()) for _ in "ab"]
        with torch.cuda.stream(torch.cuda.Stream()):
            for number, batch in enumerate(self._batches):
                buffer, fetched = buffers[number % 2]
                fetched.synchronize()
                _send(batch, buffer)
                fetched.record()
            torch.cuda.current_stream().synchronize()


def _send(batch: list[Piece], buffer: Any) -> None:
    at = 0
    for piece in batch:
        ctypes.memmove(buffer.data_ptr() + at, piece.source, piece.size)
        piece.target.copy_(buffer[at : at + piece.size], non_blocking=True)
        at += piece.size
