"""Pickles views of dicts and limits of number types, which pickle itself refuses. A view becomes a view of a copy."""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from spaces.farm.values.glance import module_of, qualname_of

Reduced = tuple[Callable[..., Any], tuple[Any, ...]]

_items: dict[str, int] = {}

_REDUCERS: dict[type, Callable[[Any], Reduced]] = {
    type(_items.keys()): lambda view: (dict.keys, (dict.fromkeys(view),)),
    type(_items.values()): lambda view: (dict.values, (dict(enumerate(view)),)),
    type(_items.items()): lambda view: (dict.items, (dict(view),)),
    MappingProxyType: lambda view: (_proxy, (dict(view),)),
    struct.Struct: lambda value: (struct.Struct, (value.format,)),
}

#: Limits of number types; each is created from the name of the type.
_LIMITS = frozenset({"numpy.finfo", "numpy.iinfo", "torch.finfo", "torch.iinfo"})


def reduced(value: Any) -> Reduced | None:  # any: told by its type
    """The reduce value of such an object; None for other objects."""
    cls = type(value)
    if cls in _REDUCERS:
        return _REDUCERS[cls](value)
    name = f"{module_of(cls)}.{qualname_of(cls)}"
    return (_limits, (name, str(value.dtype))) if name in _LIMITS else None


def _proxy(held: dict[Any, Any]) -> MappingProxyType[Any, Any]:  # any: of any items
    """Pickles refer to this function, because they cannot refer to the class."""
    return MappingProxyType(held)


def _limits(name: str, dtype: str) -> Any:  # any: a finfo or an iinfo
    """Pickles refer to this function."""
    if name not in _LIMITS:
        raise ValueError(f"{name} has no limits")
    library, _, kind = name.partition(".")
    module: Any = __import__(library)  # any: numpy or torch
    return getattr(module, kind)(getattr(module, dtype))
