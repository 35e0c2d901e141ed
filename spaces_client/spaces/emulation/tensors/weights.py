"""Moves the storages of all tracked weights, keeping every view and tie, or frees them."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any  # a storage of torch, untyped here

import torch
from torch._C import DisableTorchFunction
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from spaces.emulation.tensors.marks import DROPPED, forget, mark, tracked

Storage = Any
Move = Callable[[list[Storage]], list[Storage]]
"""Gets distinct storages; returns as many new ones, in the same order and with the same bytes."""


def relocate(move: Move, tensors: list[torch.Tensor], where: int) -> None:
    """Replace every storage by the one that `move` returns, at `where`; the tensors stay the same objects."""
    with DisableTorchFunction(), torch.no_grad():
        groups = _by_storage(tensors)
        storages = [storage for storage, _ in groups]
        for (_, sharing), new in zip(groups, move(storages), strict=True):
            new.emulated_place = where
            for tensor in sharing:
                repoint(tensor, new)


def _by_storage(tensors: list[torch.Tensor]) -> list[tuple[Storage, list[torch.Tensor]]]:
    groups: dict[int, tuple[Storage, list[torch.Tensor]]] = {}
    for tensor in tensors:
        if not _stands_alone(tensor):
            storage = tensor.untyped_storage()
            groups.setdefault(id(storage), (storage, []))[1].append(tensor)
    return list(groups.values())


def _stands_alone(tensor: torch.Tensor) -> bool:
    """Whether a tensor is more than a view of a storage: sparse, quantized, or a wrapper around other tensors."""
    return bool(tensor.layout != torch.strided or tensor.is_quantized or is_traceable_wrapper_subclass(tensor))


def move_alone(tensors: list[torch.Tensor], device: torch.device) -> None:
    """Move to a real device the tensors that `relocate` cannot; the objects stay the same."""
    for tensor in filter(_stands_alone, tensors):
        with torch.no_grad():
            moved = tensor.to(device)
        if is_traceable_wrapper_subclass(tensor):
            forget(tensor)
            torch.utils.swap_tensors(tensor, moved)
        else:
            tensor.data = moved
        tensor.__dict__.pop("emulated_place", None)


def repoint(tensor: torch.Tensor, storage: Storage) -> None:
    """Make a tensor the same view of another storage."""
    view = torch.empty(0, dtype=tensor.dtype, device=storage.device)
    view.set_(storage, tensor.storage_offset(), tensor.size(), tensor.stride())
    with torch.inference_mode(tensor.is_inference()):
        tensor.data = view


def size_bytes(tensors: list[torch.Tensor]) -> int:
    """Bytes of all storages, and of tensors without their own storage; a wrapper counts as its inner tensors."""
    with DisableTorchFunction():
        single = [each for each in tensors if _stands_alone(each) and not is_traceable_wrapper_subclass(each)]
        alone = sum(tensor.numel() * tensor.element_size() for tensor in single)
        return int(alone + sum(storage.nbytes() for storage, _ in _by_storage(tensors)))


def drop_weights() -> None:
    """Free the memory of everything on emulated cuda.

    Shapes, dtypes, devices and names remain; reading a value raises `EmulationError`. For the web process after its
    launch, where no function that needs weights runs any more.
    """
    gc.collect()
    with DisableTorchFunction(), torch.no_grad():
        tensors = tracked()
        for tensor in filter(_stands_alone, tensors):
            mark(tensor, DROPPED)
        for storage, sharing in _by_storage(tensors):
            _empty(storage, sharing)
    _return_free_memory()


def _empty(storage: Storage, tensors: list[torch.Tensor]) -> None:
    try:
        storage.resize_(0)
    except RuntimeError:  # mapped from a file, or memory of another library: release it instead
        hollow = torch.UntypedStorage(storage.nbytes())
        for tensor in tensors:
            repoint(tensor, hollow)
        hollow.resize_(0)
        storage = hollow
    storage.emulated_place = DROPPED


def _return_free_memory() -> None:
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed memory unless told otherwise
    if trim is not None:
        trim(0)
