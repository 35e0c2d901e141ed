"""Which tensors are on emulated cuda.

The values are ordinary CPU memory; what makes a tensor "cuda" is a mark on its storage. The mark is an attribute
of the storage's Python object, which torch keeps for as long as the storage itself lives. So views, detached
tensors and Parameters answer like the tensor that they share memory with, a mark ends with its memory, and there
is no table to keep in step, to lock, or to clean. Sparse tensors have no storage and carry the mark themselves.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator
from typing import Final

import torch

CPU: Final = 0
CUDA: Final = 1
DROPPED: Final = 2
"""On emulated cuda, but `drop_weights` has freed the values."""

CUDA_DEVICE: Final = torch.device("cuda", 0)
CPU_DEVICE: Final = torch.device("cpu")

# The default of every storage that nobody marked; attribute look-up falls back to the class.
torch.UntypedStorage.emulated_place = CPU


def place(tensor: torch.Tensor) -> int:
    """CPU, CUDA or DROPPED."""
    try:
        return tensor.untyped_storage().emulated_place  # type: ignore[no-any-return]  # our own attribute
    except (NotImplementedError, RuntimeError):  # sparse tensors and some wrapper subclasses
        return tensor.__dict__.get("emulated_place", CPU)  # type: ignore[no-any-return]


def mark(tensor: torch.Tensor, where: int = CUDA) -> None:
    """Say where a tensor, and whatever shares its memory, is from now on. Meta tensors have no place."""
    try:
        if not tensor.is_meta:
            tensor.untyped_storage().emulated_place = where
    except (NotImplementedError, RuntimeError):
        tensor.__dict__["emulated_place"] = where


def highest(values: Iterable[object]) -> int:
    """The highest place among the tensors in `values` and in the lists and tuples directly in it."""
    found = CPU
    for value in values:
        if isinstance(value, torch.Tensor):
            found = max(found, place(value))
        elif isinstance(value, (list, tuple)):
            for item in value:
                if isinstance(item, torch.Tensor):
                    found = max(found, place(item))
    return found


_known: weakref.WeakValueDictionary[int, torch.Tensor] = weakref.WeakValueDictionary()


def tracked() -> list[torch.Tensor]:
    """The live tensors that are on emulated cuda: in modules, lists, closures, anywhere Python can reach.

    They are found through the garbage collector, which costs some 50 ms in a large process and nothing per
    operation. `gc.freeze()` hides objects from it, so a process that means to freeze calls this first: what
    was found once is remembered.
    """
    if gc.get_freeze_count() and not _known:
        gc.unfreeze()
    found = {id(tensor): tensor for tensor in _known.values() if place(tensor) != CPU}
    for tensor in _tensors_known_to_gc():
        if place(tensor) != CPU:
            found[id(tensor)] = tensor
            _known[id(tensor)] = tensor
    return list(found.values())


def _tensors_known_to_gc() -> Iterator[torch.Tensor]:
    for thing in gc.get_objects():
        # `type()`, because `isinstance` asks proxies and lazy modules for `__class__` and wakes them.
        if issubclass(type(thing), torch.Tensor):
            yield thing
            if thing.is_leaf and thing.grad is not None:
                yield thing.grad
