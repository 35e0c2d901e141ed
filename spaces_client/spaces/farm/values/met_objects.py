"""Notices an object that a value holds twice. Only one pickle of the whole value keeps it one object.

What nobody can change may become two objects.
"""

from __future__ import annotations

from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType

from spaces.farm.values.codec_types import Kind, extension_of

_CHANGEABLE_KINDS = frozenset({Kind.SET, Kind.MAP, Kind.BYTEARRAY, Kind.ARRAY, Kind.TENSOR, Kind.IMAGE})
_UNCHANGEABLE = (type(None), str, bytes, int, float, type, FunctionType, BuiltinFunctionType, ModuleType, Enum)


class MetObjects:
    """The objects of one value that were met so far."""

    def __init__(self) -> None:
        self._objects: dict[int, object] = {}

    def meet(self, value: object) -> bool:
        """Add an object. Returns whether it is new, or of a type that nobody can change.

        It is kept, so that no later object gets its id.
        """
        if id(value) in self._objects:
            return not _may_change(value)
        self._objects[id(value)] = value
        return True

    def meet_all(self, others: MetObjects) -> bool:
        """Add the objects that another has met. Returns whether `meet` would return that for all of them."""
        again = self._objects.keys() & others._objects.keys()
        self._objects |= others._objects
        return not any(_may_change(self._objects[each]) for each in again)


def _may_change(value: object) -> bool:
    cls: type = type(value)
    extension = extension_of(cls)
    return extension.kind in _CHANGEABLE_KINDS if extension else not issubclass(cls, _UNCHANGEABLE)
