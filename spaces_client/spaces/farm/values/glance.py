"""Describes values in a few words, for messages, logs and labels, without ever raising.

A value's own code (`__repr__`, `__getattr__`, `__class__`) may raise anything, so none of it runs here: a value that is
no plain data is described by its type. Only an exception's `__str__` runs; its errors are caught and its text is cut.
"""

from __future__ import annotations

import reprlib
import sys
from types import FunctionType
from typing import Any, TypeGuard, TypeVar

from spaces.farm.texts import cut

T = TypeVar("T")

#: Bits of the largest integer that is written out; Python itself refuses integers of more than 4300 digits.
_MOST_BITS = 256

#: Bytes that are written out; `reprlib` would write all of them before it cuts.
_MOST_BYTES = 30

_ATOMS = (bool, float, str, type(None))

#: Libraries whose values have a size that can be read safely, with the attribute of the size.
_SIZES = {"numpy": "shape", "torch": "shape", "PIL": "size", "pandas": "shape", "polars": "shape"}

_type_qualname = type.__dict__["__qualname__"].__get__
_type_module = type.__dict__["__module__"].__get__


def is_a(value: object, types: type[T] | tuple[type[T], ...]) -> TypeGuard[T]:
    """Like `isinstance`, but without the value's `__class__`, which runs code in a proxy."""
    return issubclass(type(value), types)


def glance(value: object) -> str:
    """Plain values are shortened, others shown by type: `'a cat'`, `<ndarray (3, 4)>`."""
    cls = type(value)
    if cls in _ATOMS or _is_small(value):
        return reprlib.repr(value)
    size = _size(value)
    return f"<{qualname_of(cls).rpartition('.')[2]}{f' {size}' if size else ''}>"


def own_attributes(value: object) -> dict[str, object]:
    """The content of an object's `__dict__`, read without running any of its code."""
    try:
        held: dict[str, object] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held


def qualname_of(cls: type) -> str:
    """A class's qualified name, read without its metaclass."""
    return str(_type_qualname(cls))


def module_of(cls: type) -> str:
    """A class's `__module__`; empty if that is no text."""
    try:
        module = _type_module(cls)
    except AttributeError:
        return ""
    return module if type(module) is str else ""


def name_of(value: object) -> str:
    """The name of a value's type, or of a function: `str`, `app.Agent`, `make.<locals>.step`."""
    if type(value) is FunctionType:
        module, qualname = str(value.__module__), value.__qualname__
    else:
        module, qualname = module_of(type(value)), qualname_of(type(value))
    return qualname if module in ("builtins", "__main__", "") else f"{module}.{qualname}"


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"


def text_of(error: BaseException) -> str:
    """An exception's text, or a remark if its `__str__` raises."""
    try:
        text = "".join((str(error),))  # of no subclass of str
    except BaseException:  # its own error must not hide the exception
        return "(its text cannot be read: __str__ raised)"
    return cut(text)


def reason_of(error: BaseException) -> str:
    """The reason of a failure, for the middle of a sentence: the exception's text, or its type."""
    return text_of(error) or qualname_of(type(error))


def _is_small(value: Any) -> bool:  # Any: told by its type
    cls = type(value)
    return (cls is int and value.bit_length() <= _MOST_BITS) or (cls is bytes and len(value) <= _MOST_BYTES)


def _size(value: Any) -> str:  # Any: of a class of some library
    if type(value) is bytes:
        return f"({len(value)})"
    library = module_of(type(value)).partition(".")[0]
    if library not in _SIZES or library not in sys.modules:
        return ""
    try:
        return str(tuple(map(int, getattr(value, _SIZES[library]))))
    except Exception:  # a file that was closed, a frame that is computed later
        return ""
