"""Packs messages between processes into bytes: a closed set of frozen dataclasses.

`pack` and `unpack` know exactly the classes marked with `@message`; nothing else can be built from bytes, and each
field has a type that its class allows. Sequences arrive as tuples, so that messages stay immutable.

Two neighbouring versions of zerofarm understand each other, because a message changes in one way only: a new field
with a default is added at its end. A side that does not know the field ignores it; a side that does not get it takes
the default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache, partial
from operator import attrgetter
from typing import Any, TypeVar

import msgpack

from spaces.errors import SpacesError
from spaces.farm import declared_lengths
from spaces.farm.message_shape import Shape

T = TypeVar("T")

_CLASSES: dict[str, type] = {}
_MESSAGE = 1
#: Names of files, and so the texts of errors, hold lone surrogates where bytes were no UTF-8.
_ERRORS = "surrogatepass"

#: Enough for most messages; the default of 256 kB goes back to the system each time, which takes longer than packing.
_FIRST_BUFFER_BYTES = 1024

#: Messages within each other; ours are at most 5. Each takes so much of the C stack that 100 would overflow it.
DEEPEST = 16


class BadMessage(SpacesError, ValueError):
    """Bytes that are no message of this version of zerofarm: damaged, or of a version that is no neighbour."""


def message(cls: type[T]) -> type[T]:
    """Make a dataclass a message, packed under its own name, which must be unique."""
    other = _CLASSES.setdefault(cls.__name__, cls)
    if other is not cls and other.__module__ != cls.__module__:
        raise TypeError(f"two messages are named {cls.__name__}: {other.__module__} and {cls.__module__}")
    _CLASSES[cls.__name__] = cls
    return cls


def pack(value: object) -> bytes:
    """Pack a message into bytes. Raises TypeError for a value that is neither a message nor plain data."""
    packed: bytes = _packed(value)
    return packed


def unpack(data: bytes | memoryview) -> Any:  # Any: the caller matches on the class
    """Unpack a message. Raises BadMessage for bytes that `pack` did not make."""
    try:
        return _unpacked(data, 0)
    except BadMessage:
        raise
    except (ValueError, TypeError, RecursionError) as error:  # all that msgpack raises
        raise BadMessage(f"no message can be read from {len(data)} bytes: {error}") from None


def unpack_as(cls: type[T], data: bytes | memoryview) -> T:
    """Unpack a message of this class. Raises BadMessage."""
    found = unpack(data)
    if not isinstance(found, cls):
        raise BadMessage(f"a message {cls.__name__} was expected, got {type(found).__name__}")
    return found


def _unpacked(data: bytes | memoryview, depth: int) -> Any:  # Any: whatever was packed
    declared_lengths.check(data)
    hook = _REBUILDERS[depth]
    return msgpack.unpackb(data, ext_hook=hook, use_list=False, strict_map_key=False, unicode_errors=_ERRORS)


def _packed(value: object) -> Any:  # Any: msgpack has no types
    return msgpack.packb(value, default=_flatten, unicode_errors=_ERRORS, buf_size=_FIRST_BUFFER_BYTES)


def _flatten(value: object) -> msgpack.ExtType:
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise TypeError(f"{name} is not a message")
    return msgpack.ExtType(_MESSAGE, _packed(_parts(name)(value)))


@cache
def _parts(name: str) -> Callable[[object], tuple[Any, ...]]:
    """A function that returns a message's class name and fields; `attrgetter` does it in C."""
    names = [field.name for field in fields(_CLASSES[name])]
    return attrgetter("__class__.__name__", *names) if names else lambda _: (name,)


def _rebuild(depth: int, code: int, data: bytes) -> object:
    if depth == DEEPEST:
        raise BadMessage(f"messages are within each other deeper than {DEEPEST}")
    if code != _MESSAGE:
        raise BadMessage(f"unknown extension {code} in a message")
    name, *values = _unpacked(data, depth + 1)
    if name not in _CLASSES:
        raise BadMessage(f"unknown message {name!r}: both sides must run neighbouring versions of zerofarm")
    shape = _shape(name)
    del values[shape.most :]  # fields that a newer version has added
    if not shape.fits(values):
        raise BadMessage(shape.complaint(values))
    return shape.cls(*values)


@cache
def _shape(name: str) -> Shape:
    return Shape.of(_CLASSES[name])


#: One for each depth: `msgpack` tells its hook nothing of it.
_REBUILDERS = tuple(partial(_rebuild, depth) for depth in range(DEEPEST + 1))
