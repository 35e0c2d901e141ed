"""Finds the storages of this process, through the garbage collector, wherever Python can reach their tensors.

A storage that only C++ knows is not found. It stays where it is, and on the child's account.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any  # torch is not typed here

from spaces_workers.child.sleep.card import Storage

#: The tensors inside a tensor of each sparse layout, by the names of their methods.
_INSIDE = {
    "torch.sparse_coo": ("_indices", "_values"),
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}


def storages(wanted: Callable[[Storage], bool]) -> list[Storage]:
    """The distinct storages of which `wanted` is true."""
    found: dict[int, Storage] = {}
    for storage in _all():
        if storage._cdata not in found and _has_bytes(storage) and wanted(storage):
            found[storage._cdata] = storage
    return list(found.values())


def _has_bytes(storage: Storage) -> bool:
    """Whether there is memory behind it: a wrapper of tensors has a size, and no bytes, as a tensor without data."""
    if storage.device.type == "meta":  # torch warns of a question for the address of a fake tensor's
        return False
    try:
        storage.data_ptr()
    except (NotImplementedError, RuntimeError):
        return False
    return True


def _all() -> Iterator[Storage]:
    import torch

    gc.unfreeze()  # a zygote hides its objects from the collector, and a task may have moved their tensors
    for thing in gc.get_objects():
        kind = type(thing)  # not `isinstance`, which reads `__class__` of proxies and lazy modules, and loads them
        if issubclass(kind, torch.Tensor):
            yield from _of(thing)
        elif issubclass(kind, torch.UntypedStorage):
            yield thing


def _of(tensor: Any) -> Iterator[Storage]:
    for part in _parts(tensor):
        try:
            yield part.untyped_storage()
        except (NotImplementedError, RuntimeError):
            pass  # a wrapper of other tensors, which are found themselves
    if tensor.is_leaf and tensor.grad is not None:
        yield from _of(tensor.grad)


def _parts(tensor: Any) -> Iterator[Any]:
    names = _INSIDE.get(str(tensor.layout))
    if names is None:
        yield tensor
    else:
        yield from (getattr(tensor, name)() for name in names)
