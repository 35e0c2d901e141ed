"""Pickles objects as their class and attributes, without running any of their code.

Pickle reads `__getnewargs_ex__` and `__setstate__` of an object, even of an empty one; the `__getattr__` of many
configuration classes then raises KeyError or recurses without end.
"""

from __future__ import annotations

import copyreg
import struct
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any

from spaces.farm.values.glance import module_of, own_attributes

#: Methods by which a class controls its own pickling.
_SAYS_ITSELF = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")
_ASKED = ("__getattr__", "__getattribute__")
_POINTER_BYTES = struct.calcsize("P")


@lru_cache(maxsize=1024)
def answers_for_itself(cls: type) -> bool:
    """Whether a class has its own `__getattr__`, does not control its pickling, and is written in Python."""
    own = [vars(each) for each in type.mro(cls) if module_of(each) != "builtins"]
    if not any(name in each for each in own for name in _ASKED) or cls in copyreg.dispatch_table:
        return False
    return not any(name in each for each in own for name in _SAYS_ITSELF) and _is_all_python(cls)


def reduced(value: Any) -> Any:  # any: a reduce value has six forms
    """The reduce value by which pickle writes such an object."""
    cls = type(value)
    state = own_attributes(value), dict(_slots(value)), _content(value)
    return new_object, (cls, *_arguments(value)), state, None, None, fill


def new_object(cls: Any, *arguments: Any) -> Any:  # any: of a class of the Space
    """An empty object. Pickles refer to this function."""
    return cls.__new__(cls, *arguments)


def fill(value: Any, state: tuple[dict[str, Any], dict[str, Any], Any]) -> None:  # any: of a class of the Space
    """Put attributes and content into an object. Pickles refer to this function."""
    attributes, slots, content = state
    own_attributes(value).update(attributes)
    for name, held in slots.items():
        object.__setattr__(value, name, held)
    if content is not None:
        _FILL[type(content)](value, content)


_FILL: dict[type, Any] = {list: list.extend, dict: dict.update, set: set.update}  # any: methods of three classes
_IMMUTABLE = (int, float, complex, str, bytes, tuple, frozenset)


def _base_of(cls: type) -> type:
    """The builtin class that a class derives from."""
    return next(each for each in type.mro(cls) if module_of(each) == "builtins")


def _is_all_python(cls: type) -> bool:
    """Whether an instance has no content beside its attributes and slots, by its size; pickle checks the same."""
    base = _base_of(cls)
    if base is not object and base not in _FILL and base not in _IMMUTABLE:
        return False
    pointers = len(_slot_names(cls)) + (cls.__dictoffset__ != 0) + (cls.__weakrefoffset__ != 0)
    return cls.__basicsize__ <= base.__basicsize__ + _POINTER_BYTES * pointers


def _slot_names(cls: type) -> list[str]:
    names: list[str] = copyreg._slotnames(cls)  # type: ignore[attr-defined] # as pickle itself asks for them
    return names


def _arguments(value: Any) -> tuple[Any, ...]:  # any: as above
    base: Any = _base_of(type(value))  # any: one of several constructors
    if base not in _IMMUTABLE:
        return ()
    return (frozenset(frozenset.__iter__(value)),) if base is frozenset else tuple(base.__getnewargs__(value))


def _content(value: Any) -> Any:  # any: a plain container
    base: Any = _base_of(type(value))  # any: as above
    if base is dict:
        return dict(dict.items(value))
    return base(base.__iter__(value)) if base in _FILL else None


def _slots(value: object) -> Iterator[tuple[str, Any]]:
    for name in _slot_names(type(value)):
        with suppress(AttributeError):
            yield name, object.__getattribute__(value, name)
