"""Copies weights from host memory to the GPU, in a child that has just left the emulation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any  # torch is not typed here

from spaces_workers.child.pinned_buffers import BUFFER_BYTES, CudaGpu, Piece, pieces, to_device

#: Weights with fewer bytes in all are copied plainly, which takes less time than pinning the buffers.
WORTHWHILE = 64 << 20

#: The size up to which torch's allocator uses separate segments, and the size to which it rounds others.
#: Source: kSmallSize and kMinBlockSize of c10/core/AllocatorConfig.h.
SMALL_BYTES, ROUNDING_BYTES = 1 << 20, 512


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
    to_device(_pieces(storages, targets), CudaGpu())
    torch.cuda.synchronize()
    return targets


def _rounded(size: int) -> int:
    return -(-size // ROUNDING_BYTES) * ROUNDING_BYTES


def _pieces(storages: list[Any], targets: list[Any]) -> Iterator[Piece]:
    import torch

    for storage, target in zip(storages, targets, strict=True):
        whole = torch.empty(0, dtype=torch.uint8, device=target.device).set_(target)
        yield from pieces(storage.data_ptr(), whole, BUFFER_BYTES)
