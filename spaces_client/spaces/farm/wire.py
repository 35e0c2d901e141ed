"""Packs messages between processes into bytes: a closed set of frozen dataclasses.

`pack` and `unpack` know exactly the classes marked with `@message`; nothing else can be built from bytes.
Sequences arrive as tuples, so that messages stay immutable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import msgpack

T = TypeVar("T")

_CLASSES: dict[str, type] = {}
_MESSAGE = 1
#: Names of files, and so the texts of errors, hold lone surrogates where bytes were no UTF-8.
_ERRORS = "surrogatepass"


def message(cls: type[T]) -> type[T]:
    """Make a dataclass a message, packed under its own name, which must be unique."""
    other = _CLASSES.setdefault(cls.__name__, cls)
    if other is not cls and other.__module__ != cls.__module__:
        raise TypeError(f"two messages are named {cls.__name__}: {other.__module__} and {cls.__module__}")
    _CLASSES[cls.__name__] = cls
    return cls


def pack(value: object) -> bytes:
    """Pack a message into bytes. Raises TypeError for a value that is neither a message nor plain data."""
    packed: bytes = msgpack.packb(value, default=_flatten, unicode_errors=_ERRORS)
    return packed


def unpack(data: bytes | memoryview) -> Any:  # Any: the caller matches on the class
    """Unpack a message. Raises ValueError for bytes that `pack` did not make."""
    return msgpack.unpackb(data, ext_hook=_rebuild, use_list=False, strict_map_key=False, unicode_errors=_ERRORS)


def _flatten(value: object) -> msgpack.ExtType:
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise TypeError(f"{name} is not a message")
    return msgpack.ExtType(_MESSAGE, msgpack.packb(_parts(name)(value), default=_flatten, unicode_errors=_ERRORS))


@cache
def _parts(name: str) -> Callable[[object], tuple[Any, ...]]:
    """A function that returns a message's class name and fields; `attrgetter` does it in C."""
    names = [field.name for field in fields(_CLASSES[name])]
    return attrgetter("__class__.__name__", *names) if names else lambda _: (name,)


@cache
def _field_count(name: str) -> int:
    """The fields that this version knows of a message. A newer one adds fields at the end, which are ignored here."""
    return len(fields(_CLASSES[name]))


def _rebuild(code: int, data: bytes) -> object:
    if code != _MESSAGE:
        raise ValueError(f"unknown extension {code} in a message")
    name, *values = unpack(data)
    if name not in _CLASSES:
        raise ValueError(f"unknown message {name!r}: both sides must run the same version of zerofarm")
    return _CLASSES[name](*values[: _field_count(name)])
