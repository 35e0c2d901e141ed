"""The objects of this process by their classes: looked through once, since there are half a million."""

from __future__ import annotations

import gc
from collections import defaultdict
from typing import TypeVar, cast

T = TypeVar("T")


class Objects:
    """All that the garbage collector knows. Asks for types alone, because `isinstance` runs code of proxies."""

    def __init__(self) -> None:
        self._by_type: defaultdict[type, list[object]] = defaultdict(list)
        for each in gc.get_objects():
            self._by_type[type(each)].append(each)

    def of(self, kind: type[T]) -> list[T]:
        """Those of a class."""
        found = [each for cls, objects in self._by_type.items() if issubclass(cls, kind) for each in objects]
        return cast("list[T]", found)

    def referred(self, kind: type[T]) -> list[T]:
        """The objects of a C++ class, which the collector does not track: found in the objects that hold them."""
        holders = (holder for objects in self._by_type.values() for holder in objects)
        referents = (each for holder in holders for each in gc.get_referents(holder))
        return list({id(each): cast("T", each) for each in referents if issubclass(type(each), kind)}.values())
