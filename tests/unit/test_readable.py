"""An object that could not be read back is refused before it is sent, by argument and class; others come back whole."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spaces
from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec
from spaces.testing import InMemoryFarm

KEY = b"k" * 32


class OddError(Exception):
    pass


class Odd(list[int]):
    """Is made with more than pickle knows of."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__([first, second])

    def __reduce__(self) -> Any:  # any: a reduce value
        return Odd, ()


class Forgetful:
    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise OddError("cannot be restored")


class Deep:
    """Finds no end when it is asked for anything, as long as it is empty; says how it is written, in vain."""

    def __init__(self) -> None:
        self.held = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.held, name)

    def __getstate__(self) -> Any:
        return {"held": 1}


@pytest.fixture
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm("demo") as farm:
        yield farm


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (Odd(1, 2), r"it is a \S*Odd \(it cannot be read back: TypeError: .*__init__\(\) missing"),
        ({"a": [1, Odd(1, 2)]}, r"it holds a \S*Odd at \['a'\]\[1\] \(it cannot be read back: TypeError"),
        (Forgetful("a"), r"it is a \S*Forgetful \(it cannot be read back: OddError: cannot be restored"),
        (Deep(), r"it is a \S*Deep \(it cannot be read back: RecursionError"),
        ((np.zeros(100_000), Forgetful("a")), r"it holds a \S*Forgetful at \[1\]"),
    ],
    ids=["made", "inside", "restored", "recursion", "large"],
)
def test_a_value_that_cannot_be_read_back_is_refused_by_argument_and_class(
    farm: InMemoryFarm, value: object, what: str
) -> None:
    """The function's process said `a message cannot be read`, of no argument, or died of a RecursionError."""

    @spaces.GPU
    def use(*, sent: object) -> None:
        raise AssertionError("it must not run")

    @spaces.GPU
    def make() -> object:
        return value

    with pytest.raises(EncodingError, match=rf"argument 'sent' of .*use\S* cannot be sent to a GPU worker: {what}"):
        use(sent=value)
    with pytest.raises(EncodingError, match=rf"the value that .*make\S* returned cannot be sent back: {what}"):
        make()


class AttributeDict(dict[str, Any]):
    """A missing attribute is a KeyError: pickle alone neither writes nor reads it."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


class Config:
    """Finds no end when it is asked for anything, as long as it is empty."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        return self._values[name]


class Slotted:
    __slots__ = ("__dict__", "held")

    def __init__(self, held: object) -> None:
        self.held = held

    def __getattr__(self, name: str) -> Any:
        return getattr(self.held, name)


class Answers(str):
    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Many(list[int]):
    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Tree(AttributeDict):
    pass


def test_an_object_whose_getattr_never_says_no_comes_back_whole() -> None:
    tree = Tree(a=AttributeDict(b=[1]))
    tree["self"] = tree
    many, slotted = Many([1, 2]), Slotted([3])
    many.note, slotted.note = "a", "b"  # type: ignore[attr-defined] # in `__dict__`
    sent = [AttributeDict(steps=20, inner=AttributeDict(a=1)), Config(steps=20), slotted, Answers("x"), many, tree]
    with pytest.raises((KeyError, TypeError, RecursionError)):
        pickle.loads(pickle.dumps(sent))
    encoded = Codec(KEY).encode(sent)
    table, config, slots, answers, numbers, knot = Codec(KEY).decode(encoded.body, encoded.buffers)
    assert (type(table), table.inner.a, dict(table)) == (AttributeDict, 1, {"steps": 20, "inner": {"a": 1}})
    assert (type(config), config.steps) == (Config, 20)
    assert (type(slots), slots.held, slots.note) == (Slotted, [3], "b")
    assert (type(answers), str(answers)) == (Answers, "x")
    assert (type(numbers), list(numbers), numbers.note) == (Many, [1, 2], "a")
    assert knot["self"] is knot
    assert knot.a.b == [1]


class Located:
    """Deletes its file when it dies, as a temporary file's owner does."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __del__(self) -> None:
        os.unlink(self.path)


def test_no_copy_is_made_and_dropped_of_an_object_whose_death_does_something(tmp_path: Path) -> None:
    owner = Located(tmp_path / "a.wav")
    Path(owner.path).touch()
    Codec(KEY).encode([owner])
    assert Path(owner.path).exists()


class Restored:
    """Changes what it holds when it is restored."""

    made = 0

    def __init__(self) -> None:
        self.array = np.zeros(10)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Restored.made += 1
        self.__dict__.update(state)


def test_a_trial_reading_changes_nothing_of_the_value() -> None:
    value = Restored()
    Codec(KEY).encode(value)
    assert Restored.made == 1
    assert value.array.flags.writeable


def test_a_large_value_is_read_back_once_for_each_class() -> None:
    Restored.made = 0
    for _ in range(3):
        value = Restored()
        value.array = np.zeros(100_000)
        Codec(KEY).encode([value])
    assert Restored.made <= 1


def test_a_lock_is_still_called_a_lock(farm: InMemoryFarm) -> None:
    @spaces.GPU
    def use(sent: object) -> None:
        raise AssertionError("it must not run")

    with pytest.raises(EncodingError, match=r"it holds a lock \(_thread.lock at \['lock'\]\)"):
        use(AttributeDict(lock=threading.Lock()))
