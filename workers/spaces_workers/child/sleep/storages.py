"""Finds the storages of this process, through the garbage collector, wherever Python can reach their tensors.

A storage that only C++ knows is not found, nor one whose tensors a Space has hidden by `gc.freeze`. It stays where it
is, and on the child's account.
"""

from __future__ import annotations

import ctypes
import gc
import sys
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


_untrack, _track = ctypes.pythonapi.PyObject_GC_UnTrack, ctypes.pythonapi.PyObject_GC_Track
for _each in (_untrack, _track):
    _each.argtypes, _each.restype = [ctypes.py_object], None


def freeze() -> None:
    """`gc.freeze` for a process that will fork, except that its tensors stay in sight.

    Forks then find them without looking at every object, which takes a tenth of a second and copies shared pages.
    """
    visible = _in_sight()
    for thing in visible:
        _untrack(thing)
    gc.freeze()
    for thing in visible:
        _track(thing)


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

    for thing in _in_sight():
        if issubclass(type(thing), torch.Tensor):
            yield from _of(thing)
        else:
            yield thing


def _in_sight() -> list[Any]:
    """The tensors and storages that the garbage collector knows."""
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    kinds = (torch.Tensor, torch.UntypedStorage)
    # By `type`, not by `isinstance`, which reads `__class__` of proxies and lazy modules, and loads them.
    return [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]


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
