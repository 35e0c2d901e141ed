"""The changes of a value that its mark detects, and those that it ignores."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from spaces.state.marks import MOST_ITEMS, Marks, same


class Own:
    def __init__(self) -> None:
        self.steps = [1]


class Foreign:
    def __init__(self) -> None:
        self.steps = [1]


def set_key(value: Any) -> None:
    value["b"] = 2


def set_deep(value: Any) -> None:
    value["a"]["b"].append(3)


def add(value: Any) -> None:
    value.add(3)


def push(value: Any) -> None:
    value.append(3)


def set_item(value: Any) -> None:
    value[0] = True


def set_attribute(value: Any) -> None:
    value.steps.append(2)


def set_inside(value: Any) -> None:
    value[0].steps.append(2)


def drop_last(value: Any) -> None:
    value.pop()


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ({"a": 1}, set_key),
        ({"a": {"b": [1]}}, set_deep),
        (OrderedDict(a=1), set_key),
        ({1}, add),
        ([1], push),
        ([1], set_item),
        ([[1], 2], push),
        (deque([1]), push),
        (bytearray(b"a"), push),
        (np.ones(3), set_item),
        (Own(), set_attribute),
        ([Own()], set_inside),
        (SimpleNamespace(steps=[1]), set_attribute),
        ([0] * (MOST_ITEMS + 1), drop_last),
        ([b"x" * 100_000], push),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_change_inside_a_value_is_noticed(value: Any, change: Callable[[Any], None]) -> None:
    value = np.zeros(3) if isinstance(value, np.ndarray) else value
    marks = Marks(lambda cls: cls is Own)
    before = marks.of(value)
    assert same(before, marks.of(value))
    change(value)
    assert not same(before, marks.of(value))


@pytest.mark.parametrize("make", [threading.Lock, Foreign, lambda: print, lambda: lambda: 1, lambda: Own])
def test_everything_else_counts_by_identity(make: Callable[[], Any]) -> None:
    marks = Marks(lambda cls: cls is Own)
    value = make()
    assert same(marks.of(value), marks.of(value))
    assert same(marks.of([value]), marks.of([value]))
    assert not same(marks.of(value), marks.of(Foreign()))


def test_an_identity_is_never_given_twice() -> None:
    marks = Marks(lambda cls: False)
    assert len({marks.of(Foreign()) for _ in range(100)}) == 100


def test_a_value_that_contains_itself_has_a_mark() -> None:
    knot: list[Any] = [1]
    knot.append(knot)
    marks = Marks(lambda cls: False)
    assert same(marks.of(knot), marks.of(knot))


def _values() -> Iterator[Any]:
    yield from (1, 1.0, True, "1", b"1", None)


def test_equal_values_of_different_types_differ() -> None:
    marks = Marks(lambda cls: False)
    found = [marks.of(value) for value in _values()]
    assert sum(same(one, other) for one in found for other in found) == len(found)
