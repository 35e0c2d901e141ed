"""Objects of a class, found among all that the garbage collector knows, or that those refer to."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def instances(objects: Sequence[object], kind: type[T]) -> list[T]:
    """Those of a class. Asks their types, because `isinstance` runs code of proxies."""
    return [each for each in objects if issubclass(type(each), kind)]  # type: ignore[misc] # it is one, then


def referred(objects: Sequence[object], kind: type[T]) -> list[T]:
    """Those of a class of C++, which the collector does not know: found in what holds them."""
    found = {id(each): each for holder in objects for each in gc.get_referents(holder) if issubclass(type(each), kind)}
    return list(found.values())
