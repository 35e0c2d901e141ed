"""Fingerprints of values, cheap to make and to compare, by which a process notices that a global changed.

Plain data is compared by content, objects of the Space's own classes by their attributes, everything else (models,
tensors, components, locks) by identity alone. Marks mean nothing outside of their process.
"""

from __future__ import annotations

import pickle
import sys
import weakref
from collections import deque
from collections.abc import Callable, Container, Iterable
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, auto
from itertools import count
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any
from uuid import UUID

#: Containers with more items are marked by their length, first and last item.
MOST_ITEMS = 1000
#: So are values that need more bytes than this, the size at which pickle writes its first frame.
MOST_BYTES = 64 * 1024

Mark = object

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_PLAIN = frozenset({list, tuple, set, dict})
_CONTAINERS = (list, tuple, dict, set, frozenset, deque, bytearray)
_DATA = (*_CONTAINERS, SimpleNamespace, str, bytes, int, float, complex, range, slice, Enum)
_DATA_TOO = (date, time, timedelta, tzinfo, Decimal, PurePath, UUID)


def same(one: Mark, other: Mark) -> bool:
    """Whether two marks of one place are equal, so that nothing changed between them."""
    return one is other or (type(one) is type(other) and one == other)


class Marks:
    """Makes the marks of one process.

    `is_own` says whether the objects of a class are compared by their attributes. `placed` has the ids of objects whose
    attributes are watched one by one, so inside other values they are compared by identity.
    """

    def __init__(self, is_own: Callable[[type], bool], placed: Container[int] = ()) -> None:
        self._is_own = is_own
        self._placed = placed
        self._numbers = _Numbers()
        self._kinds: dict[type, _Kind] = {}
        self._large: set[int] = set()  # ids of values that were found too large: no second try

    def of(self, value: object) -> Mark:
        """The mark of a value; its identity alone, where its own code fails when its content is asked for."""
        try:
            return self._by_content(value)
        except Exception:  # `__len__` and `__iter__` of someone's container
            return self.identity(value)

    def _by_content(self, value: Any) -> Mark:  # Any: told by its type
        cls = type(value)
        if cls in _ATOMS:
            return value
        if not self._counts_by_content(value):
            return self.identity(value)
        if issubclass(cls, _CONTAINERS) and (len(value) > MOST_ITEMS or id(value) in self._large):
            return self._rough(value)
        return _flat(value) or self._written(value)

    def identity(self, value: object) -> Mark:
        """A mark that changes only if the place gets another object."""
        return _Identity(self._numbers.of(value))

    def reduced(self, value: Any) -> Any:  # Any: a reduce value has six forms
        """The reduce value by which pickle writes an object that is no plain data."""
        if value is _identified:
            return NotImplemented
        if not self._counts_by_content(value):
            return _identified, (self._numbers.of(value),)
        if self._kind(type(value)) is _Kind.OWN:
            return _identified, (type(value).__qualname__,), object.__getattribute__(value, "__dict__")
        return NotImplemented

    def _counts_by_content(self, value: object) -> bool:
        match self._kind(type(value)):
            case _Kind.OWN:
                return id(value) not in self._placed
            case _Kind.ARRAY:
                return bool(value.nbytes < MOST_BYTES)  # type: ignore[attr-defined] # it is an array
            case kind:
                return kind is _Kind.DATA

    def _kind(self, cls: type) -> _Kind:
        if cls not in self._kinds:
            self._kinds[cls] = _Kind.OWN if self._is_own(cls) else _kind_of(cls)
        return self._kinds[cls]

    def _written(self, value: object) -> Mark:
        file = _Bounded()
        try:
            _Pickler(file, self).dump(value)
        except OverflowError:
            self._large.add(id(value))
            return self._rough(value)
        except Exception:  # it changed meanwhile, or its `__reduce__` raises any exception
            return self._rough(value)
        return _Content(file.parts)

    def _rough(self, value: object) -> Mark:
        if not isinstance(value, (list, tuple, dict, set, frozenset, deque, bytearray)):
            return self.identity(value)
        return _Rough((id(value), len(value), *(each if type(each) in _ATOMS else id(each) for each in _ends(value))))


class _Kind(Enum):
    """How the objects of a class are marked."""

    DATA = auto()
    ARRAY = auto()
    OWN = auto()
    OTHER = auto()


class _Identity(int):
    """A number for an object."""


class _Flat(tuple[object, ...]):
    """The items of a container that holds only atoms, with their types, because 1 == True."""

    __slots__ = ()


class _Content(tuple[bytes, ...]):
    """The whole content of a value, as bytes."""

    __slots__ = ()


class _Rough(tuple[object, ...]):
    """Rough facts about a value that is too large to compare."""

    __slots__ = ()


class _Numbers:
    """A number for each object. Unlike an id it is never reused, as long as the object allows weak references."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[object], int]] = {}
        self._next = count()

    def of(self, value: object) -> int:
        """Its number."""
        known = self._known.get(id(value))
        if known is not None and known[0]() is value:
            return known[1]
        try:
            self._known[id(value)] = weakref.ref(value), (number := next(self._next))
        except TypeError:
            return -id(value)
        return number


class _Bounded:
    """A file that refuses to grow beyond MOST_BYTES."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Keep it. Raises OverflowError."""
        self._size += len(data)
        if self._size > MOST_BYTES:
            raise OverflowError
        self.parts.append(bytes(data))


class _Pickler(pickle.Pickler):
    def __init__(self, file: _Bounded, marks: Marks) -> None:
        super().__init__(file, protocol=5)
        self._marks = marks

    def reducer_override(self, value: Any) -> Any:  # Any: a reduce value has six forms
        return self._marks.reduced(value)


def _flat(value: object) -> Mark | None:
    """The fast path for the most frequent containers; None for other values."""
    cls = type(value)
    if not isinstance(value, (list, tuple, set, dict)) or cls not in _PLAIN:
        return None
    try:
        items = (*value, *value.values()) if isinstance(value, dict) else tuple(value)
    except RuntimeError:  # it changed meanwhile
        return None
    types = tuple(map(type, items))
    return _Flat((cls, types, items)) if _ATOMS.issuperset(types) else None


def _identified(what: object) -> object:
    """Stands for an object in pickled bytes; never called, because they are never unpickled."""
    return what


def _ends(value: object) -> Iterable[object]:
    try:
        if isinstance(value, dict):
            return next(reversed(value.items()))
        return (value[0], value[-1]) if isinstance(value, (list, tuple, deque)) else ()
    except (LookupError, RuntimeError, StopIteration, TypeError):  # it is empty, or changed meanwhile
        return ()


def _kind_of(cls: type) -> _Kind:
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(cls, (numpy.ndarray, numpy.generic)):
        return _Kind.ARRAY
    return _Kind.DATA if issubclass(cls, _DATA) or issubclass(cls, _DATA_TOO) else _Kind.OTHER
