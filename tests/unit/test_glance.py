"""No word about a value fails the call that it is part of: its own code does not run for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import spaces
from spaces.errors import DefinitionError, EncodingError
from spaces.farm import wire
from spaces.farm.events import Failed
from spaces.farm.payloads.space_files import texts
from spaces.farm.values.codec import Codec
from spaces.farm.values.failure import describe, rebuild
from spaces.farm.values.glance import glance
from spaces.farm.values.references import References
from spaces.state.space_globals import SpaceGlobals
from spaces.testing import InMemoryFarm
from spaces.web.summary import LENGTH, summary
from spaces_workers.child.results_with_destructors import KeptResults
from tests.unit.hostile import HOSTILE, AttributeDict, Nameless, Proxy, refuse

KEY = b"k" * 32
each_hostile = pytest.mark.parametrize("name", HOSTILE)


@pytest.fixture
def farm() -> Iterator[InMemoryFarm]:
    with InMemoryFarm("demo") as farm:
        yield farm


@each_hostile
def test_a_value_whose_own_code_raises_is_sent_and_told_by_its_type(farm: InMemoryFarm, name: str) -> None:
    """An attribute dictionary made the visitor read 'shape', and a `size` that raises ended the call with its words."""
    value = HOSTILE[name]

    @spaces.GPU
    def kind(sent: object, *, named: object) -> str:
        return type(sent).__name__ + type(named).__name__

    assert kind(value, named=value) == type(value).__name__ * 2
    assert farm.tasks[0].summary.count(type(value).__name__) == (0 if type(value) is str else 2)


@each_hostile
def test_a_refusal_names_the_argument_though_its_own_code_raises(farm: InMemoryFarm, name: str) -> None:
    value = HOSTILE[name]

    @spaces.GPU
    def use(sent: object) -> None:
        raise AssertionError("it must not run")

    with pytest.raises(EncodingError, match=r"argument 'sent' of .* it holds a lock \(_thread.lock at \[<?.*\]\)"):
        use({type(value).__name__: value, "lock": threading.Lock()})


@each_hostile
def test_a_global_whose_own_code_raises_fails_no_call(name: str) -> None:
    """A Space that imports Flask's `request` has one."""
    value = HOSTILE[name]
    module = ModuleType("the_space")
    module.__dict__.update(value=value, held=[value], table={"a": value})
    references = References(lambda: [module])
    references.freeze()
    found = SpaceGlobals([module], [])
    Codec(KEY, references).encode(["text", {"a": 1}, AttributeDict(a=1)])
    assert found.marks.of(value) is not None
    assert found.marks.of([value, {1: value}]) is not None


@each_hostile
def test_a_result_whose_own_code_raises_is_looked_through_for_owners_and_files(name: str) -> None:
    value = HOSTILE[name]
    KeptResults().keep([value, {"a": value}])
    assert "/tmp/a.png" in list(texts([value, "/tmp/a.png", {"a": value}]))


class MuteError(Exception):
    __str__ = __repr__ = refuse


class ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class GuardedError(Exception):
    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class NotedError(Exception):
    __notes__ = property(refuse)


@pytest.mark.parametrize(
    "error",
    [
        MuteError("a"),
        ExitingError("a"),
        GuardedError("a"),
        NotedError("a"),
        RuntimeError(HOSTILE["Silent"]),
        ValueError(*HOSTILE.values()),
        FileNotFoundError(2, "No such file", "caf\udce9.png"),
        ValueError("x" * 10_000_000),
    ],
    ids=lambda error: f"{type(error).__name__}({len(error.args)})",
)
def test_an_error_whose_own_code_raises_ends_its_task_as_any_other(farm: InMemoryFarm, error: Exception) -> None:
    failed = wire.unpack(wire.pack(describe(error, Codec(KEY))))
    assert isinstance(failed, Failed)
    assert len(wire.pack(failed)) < 2_000_000
    assert rebuild(failed, Codec(KEY)) is not None

    @spaces.GPU
    def fail() -> None:
        raise error

    with pytest.raises(Exception) as caught:  # noqa: PT011  # of which type depends on the case
        fail()
    assert type(caught.value).__name__ in (type(error).__name__, "RemoteError")


@each_hostile
def test_a_refused_declaration_is_told_in_our_words(farm: InMemoryFarm, name: str) -> None:
    value = HOSTILE[name]
    with pytest.raises(DefinitionError, match="decorates functions, got"):
        spaces.GPU()(value)
    if name != "Number":
        with pytest.raises(DefinitionError, match="duration must be"):
            spaces.GPU(duration=value)(print)


GLANCES: list[tuple[object, str]] = [
    ("a cat", "'a cat'"),
    (1.5, "1.5"),
    (None, "None"),
    (np.zeros((3, 4)), "<ndarray (3, 4)>"),
    (np.float32(1), "<float32 ()>"),
    (Image.new("RGB", (5, 6)), "<Image (5, 6)>"),
    ([1, 2], "<list>"),
    (Proxy, "<type>"),
    (Nameless(), "<Nameless>"),
    (10**80, "<int>"),
    (b"ab", "b'ab'"),
    (bytes(1000), "<bytes (1000)>"),
]


@pytest.mark.parametrize(("value", "text"), GLANCES, ids=[text for _, text in GLANCES])
def test_a_value_in_a_few_words(value: object, text: str) -> None:
    assert glance(value) == text


def test_a_summary_is_short_and_soon_made_however_many_arguments_there_are() -> None:
    many, more = [b"y" * 10_000_000] * 1_000_000, dict.fromkeys(map(str, range(100_000)), "x" * 1000)
    started = time.thread_time()
    assert len(summary(many, more)) == len(summary((), more)) == LENGTH
    assert time.thread_time() - started < 0.1
    assert summary((), {"\ud800": 1}) == "\\ud800=1"
