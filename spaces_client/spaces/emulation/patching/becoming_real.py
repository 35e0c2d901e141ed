"""Objects of torch's C classes that are made without a driver, and become real ones in a child with a GPU.

Constructors of streams and events need the driver. So an emulated one is empty memory of the right layout; later it
exchanges its content, and then its class, with a real one. References to it stay valid.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any  # torch's classes are not typed here

import torch

from spaces.emulation.errors import EmulationError

_allocate = ctypes.pythonapi.PyType_GenericAlloc
_allocate.restype = ctypes.py_object
_allocate.argtypes = [ctypes.py_object, ctypes.c_ssize_t]

#: By address, because emulated streams compare equal.
_alive: weakref.WeakValueDictionary[int, Becoming] = weakref.WeakValueDictionary()


def base_of(name: str) -> Any:
    """A C class of torch, or `object` if torch was built without CUDA and has only a placeholder."""
    base = getattr(torch._C, name, object)
    return base if base.__module__ == "torch._C" else object


class Becoming:
    """Base class of such objects, before the C class; `real` makes the real object."""

    __slots__ = ()

    def __new__(cls, *_args: Any, **_options: Any) -> Any:
        made = _allocate(cls, 0)
        _alive[id(made)] = made
        return made

    def real(self) -> Any:
        """Make the equivalent object on a GPU. Called once, in a child that has one."""
        raise NotImplementedError


def leave() -> None:
    """Turn every object made so far into a real one; only with a torch that has the C classes."""
    for made in list(_alive.values()):
        real = made.real()
        _exchange(made, real)
        vars(made).clear()
        made.__class__ = type(real)


def _exchange(made: Any, real: Any) -> None:
    """Exchange the C content of the two objects, except the lists of weak references to each."""
    if type(made).__basicsize__ != type(real).__basicsize__:
        raise EmulationError(
            f"a {type(real).__name__} that was made at import cannot become real with torch {torch.__version__}: "
            "make it inside the @spaces.GPU function"
        )
    word = ctypes.sizeof(ctypes.c_void_p)
    weak_references = type(real).__weakrefoffset__
    c_class = next(each for each in type(real).__mro__ if each.__module__ == "torch._C")
    for offset in range(object.__basicsize__, c_class.__basicsize__, word):
        if offset != weak_references:
            mine = ctypes.c_void_p.from_address(id(made) + offset)
            other = ctypes.c_void_p.from_address(id(real) + offset)
            mine.value, other.value = other.value, mine.value
