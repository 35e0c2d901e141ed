"""Results that a child keeps alive after their task, because their deletion has an effect.

An object whose `__del__` deletes its file lives, without a farm, as long as its caller uses the file. In a farm the
caller gets a copy; so the original must live until the copy has been used.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from spaces.farm.values.glance import is_a

#: Seconds for a caller to read a file whose owner was copied to it.
LIFETIME = 60.0

#: The most results that are kept; a generator may make many.
MOST = 64

#: Levels of lists and dicts that are searched for such objects, and the items of each.
_DEEPEST, _MOST_ITEMS = 3, 256


class KeptResults:
    """The results of a child's tasks that have a `__del__`."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, list[object]]] = deque(maxlen=MOST)

    def keep(self, value: object) -> None:
        """Keep the objects in a result that have a `__del__`; plain data is not kept."""
        if mortal := list(_mortal(value, _DEEPEST)):
            self._kept.append((time.monotonic() + LIFETIME, mortal))

    def release(self) -> None:
        """Release results that were kept long enough. Called before each task, so it needs no timer."""
        while self._kept and self._kept[0][0] <= time.monotonic():
            self._kept.popleft()


def _mortal(value: object, depth: int) -> Iterator[object]:
    if hasattr(type(value), "__del__"):
        yield value
    elif depth:
        for inner in _items(value):
            yield from _mortal(inner, depth - 1)


def _items(value: Any) -> list[object]:  # Any: told by its type, for a proxy lies to `match`
    with suppress(Exception):  # `__len__` and `__iter__` of someone's container
        if is_a(value, (list, tuple)) and len(value) <= _MOST_ITEMS:
            return list(value)
        if is_a(value, dict) and len(value) <= _MOST_ITEMS:
            return list(value.values())
    return []
