"""All tracked weights as storages: moved elsewhere with every view and tie kept, or dropped."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any  # a storage of torch, untyped here

import torch

from spaces.emulation.marks import CPU, DROPPED, mark, place, tracked

Storage = Any
Move = Callable[[list[Storage]], list[Storage]]
"""Given distinct storages, returns as many new ones, in the same order and with the same bytes."""


def by_storage(tensors: list[torch.Tensor]) -> tuple[dict[Storage, list[torch.Tensor]], list[torch.Tensor]]:
    """The tensors of each storage, and those that have none (sparse tensors)."""
    groups: dict[int, tuple[Storage, list[torch.Tensor]]] = {}
    without: list[torch.Tensor] = []
    for tensor in tensors:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            without.append(tensor)
        else:
            groups.setdefault(id(storage), (storage, []))[1].append(tensor)
    return dict(groups.values()), without


def relocate(move: Move, tensors: list[torch.Tensor] | None = None) -> None:
    """Give every tracked storage the memory that `move` returns for it; the tensors stay the same objects."""
    with torch._C.DisableTorchFunction(), torch.no_grad():
        groups, _ = by_storage(tracked() if tensors is None else tensors)
        storages = list(groups)
        for old, new in zip(storages, move(storages), strict=True):
            new.emulated_place = old.emulated_place
            for tensor in groups[old]:
                repoint(tensor, new)


def repoint(tensor: torch.Tensor, storage: Storage) -> None:
    """Make a tensor the same view of another storage."""
    view = torch.empty(0, dtype=tensor.dtype, device=storage.device)
    view.set_(storage, tensor.storage_offset(), tensor.size(), tensor.stride())
    with torch.inference_mode(tensor.is_inference()):
        tensor.data = view


def drop_weights() -> None:
    """Free the memory of everything on emulated cuda.

    Shapes, dtypes, devices and names still answer; reading a value raises `EmulationError`. Meant for the web
    process after launch, where no function that needs weights will ever run.
    """
    gc.collect()
    with torch._C.DisableTorchFunction(), torch.no_grad():
        groups, without = by_storage(tracked())
        for tensor in without:
            mark(tensor, DROPPED)
        for storage, tensors in groups.items():
            _empty(storage, tensors)
    _return_free_memory()


def _empty(storage: Storage, tensors: list[torch.Tensor]) -> None:
    try:
        storage.resize_(0)
    except RuntimeError:  # mapped from a file, or someone else's memory: let go of it instead
        hollow = torch.UntypedStorage(storage.nbytes())
        for tensor in tensors:
            repoint(tensor, hollow)
        hollow.resize_(0)
        storage = hollow
    storage.emulated_place = DROPPED


def _return_free_memory() -> None:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps what it was given back, unless asked
    if trim is not None:
        trim(0)


def is_emulated(tensor: torch.Tensor) -> bool:
    return place(tensor) != CPU
