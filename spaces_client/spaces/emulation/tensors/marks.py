"""Marks the tensors that are on emulated cuda.

The values are ordinary CPU memory; a mark on its storage makes a tensor "cuda". The mark is an attribute of the
storage's Python object, which torch keeps as long as the storage lives. So views, detached tensors and Parameters have
the mark of the tensor that they share memory with, a mark ends with its memory, and there is no table to update, lock
or clean. Sparse tensors have no storage and carry the mark themselves; those of `torch.vmap` and `torch.func` pass it
on to the tensor that they wrap.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch._C import DisableTorchFunction
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor

CPU: Final = 0
CUDA: Final = 1
DROPPED: Final = 2
"""On emulated cuda, but `drop_weights` has freed the values."""

NO_STORAGE: Final = (NotImplementedError, RuntimeError)
"""The errors of sparse tensors and some wrapper subclasses when their storage is read."""

CUDA_DEVICE: Final = torch.device("cuda", 0)
CPU_DEVICE: Final = torch.device("cpu")

# The default of every unmarked storage; attribute look-up falls back to the class.
torch.UntypedStorage.emulated_place = CPU


@contextmanager
def plain_torch() -> Iterator[None]:
    """Within this, calls of torch in this thread are neither emulated nor recorded for gradients."""
    with DisableTorchFunction(), torch.no_grad():
        yield


def place(tensor: torch.Tensor) -> int:
    """CPU, CUDA or DROPPED."""
    try:
        return tensor.untyped_storage().emulated_place  # type: ignore[no-any-return]  # our own attribute
    except NO_STORAGE:
        if is_functorch_wrapped_tensor(tensor):
            return place(get_unwrapped(tensor))
        return tensor.__dict__.get("emulated_place", CPU)  # type: ignore[no-any-return]


def mark(tensor: torch.Tensor, where: int = CUDA) -> None:
    """Set the place of a tensor, and of all tensors that share its memory. Meta tensors have no place."""
    try:
        if not tensor.is_meta:
            tensor.untyped_storage().emulated_place = where
    except NO_STORAGE:
        if is_functorch_wrapped_tensor(tensor):
            mark(get_unwrapped(tensor), where)
        else:
            tensor.__dict__["emulated_place"] = where


def highest(values: Iterable[object]) -> int:
    """The highest place among the tensors in `values` and in the lists and tuples directly in it."""
    found = CPU
    for value in values:
        if isinstance(value, torch.Tensor):
            try:  # `place`, without the call: this runs for every operand of every operation
                where = value.untyped_storage().emulated_place
            except NO_STORAGE:
                where = place(value)
            if where > found:
                found = where
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, torch.Tensor):
                    found = max(found, place(item))
    return found


def mark_result(result: object, operands: tuple[object, ...] = ()) -> None:
    """Mark the tensors of a result, except those that share memory with a CPU operand, as in `cpu.copy_(cuda)`."""
    if isinstance(result, torch.Tensor):
        _mark_new(result, operands)
    elif isinstance(result, (list, tuple)) and not isinstance(result, torch.Size):
        for item in result:
            if isinstance(item, torch.Tensor):
                _mark_new(item, operands)


def _mark_new(result: torch.Tensor, operands: tuple[object, ...]) -> None:
    try:
        storage = result.untyped_storage()
        if storage.emulated_place or result.is_meta:
            return
        for operand in operands:
            if isinstance(operand, torch.Tensor) and operand.untyped_storage() is storage:
                return
        storage.emulated_place = CUDA
    except NO_STORAGE:
        mark(result)


_use_count = getattr(torch._C, "_storage_Use_Count", lambda _address: sys.maxsize)
_owned_once = torch.empty(1)
_OWNED_ONCE: Final = _use_count(_owned_once.untyped_storage()._cdata)


def owns_its_memory(tensor: torch.Tensor) -> bool:
    """Whether no other tensor shares the memory of this one."""
    return bool(_use_count(tensor.untyped_storage()._cdata) == _OWNED_ONCE)


_known: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()


_has_looked = False


def note_none() -> None:
    """There is no such tensor yet, and nobody has to look: for a process that has only imported libraries."""
    global _has_looked
    _has_looked = True


def tracked() -> list[torch.Tensor]:
    """The live tensors that are on emulated cuda: in modules, lists, closures, anywhere Python can reach.

    They are found through the garbage collector, which costs about 50 ms in a large process and nothing per
    operation. `gc.freeze()` hides objects from it, so a process that freezes must call this first: tensors that
    were found once are remembered.
    """
    global _has_looked
    if not _has_looked and gc.get_freeze_count():  # counting takes long
        gc.unfreeze()
    _has_looked = True
    with DisableTorchFunction():
        for tensor in _tensors_known_to_gc():
            if place(tensor) != CPU:
                _known[id(tensor)] = tensor
        return [tensor for tensor in list(_known.values()) if place(tensor) != CPU]


def _tensors_known_to_gc() -> Iterator[torch.Tensor]:
    for thing in gc.get_objects():
        # `type()`, because `isinstance` reads `__class__` of proxies and lazy modules, which would load them.
        if issubclass(type(thing), torch.Tensor):
            yield thing
            if thing.is_leaf and thing.grad is not None:
                yield thing.grad


def forget(tensor: torch.Tensor) -> None:
    """Drop all references to a tensor, even weak ones, with which torch does not swap tensors."""
    _known.pop(id(tensor), None)
