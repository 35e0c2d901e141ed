"""A program asks for a Space once, not before each call, and never calls an earlier revision than one that asks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

import spaces
from spaces.errors import RefusedError, SpaceChanged
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import FunctionRecord, Registry, SpaceRecord
from spaces.farm.task import FunctionName
from spaces.web.known_spaces import LIFETIME

from .support import MESSAGE, make_task


def record(revision: str, *functions: str, name: str = "digits", duration: float | None = None) -> SpaceRecord:
    made = tuple(FunctionRecord(FunctionName("__main__", each), duration, "large", False) for each in functions)
    return SpaceRecord(name, revision, "/app.py", "/", True, "host", "python", False, made, version=1)


@pytest.fixture
def registry(queue: Queue) -> Registry:
    return Registry(queue.redis)


@pytest.fixture
def farm(broker_url: str) -> Iterator[spaces.Farm]:
    with spaces.Farm(broker_url) as made:
        yield made


@pytest.fixture
def asked(farm: spaces.Farm, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The Spaces for which the farm is asked."""
    names: list[str] = []
    find = farm._spaces._find

    def heard(name: str) -> SpaceRecord:
        names.append(name)
        return find(name)

    monkeypatch.setattr(farm._spaces, "_find", heard)
    return names


def test_a_program_asks_for_a_space_once(registry: Registry, farm: spaces.Farm, asked: list[str]) -> None:
    registry.register(record("a" * 16, "draw"), None)
    assert [farm.submit("digits", "draw").task.revision for _ in range(5)] == ["a" * 16] * 5
    assert asked == ["digits"]


def test_a_call_after_a_new_revision_is_of_that(registry: Registry, farm: spaces.Farm, asked: list[str]) -> None:
    for revision in ("a" * 16, f"{'a' * 16}.1", "b" * 16, "a" * 16):
        registry.register(record(revision, "draw"), None)
        assert farm.submit("digits", "draw").task.revision == revision
    assert len(asked) == 4


def test_a_call_of_a_function_that_is_gone_or_new_says_so(registry: Registry, farm: spaces.Farm) -> None:
    registry.register(record("a" * 16, "draw"), None)
    farm.submit("digits", "draw")
    registry.register(record("b" * 16, "paint"), None)
    with pytest.raises(RefusedError, match="has no function 'draw'; its GPU functions are: paint"):
        farm.submit("digits", "draw")
    farm.submit("digits", "paint")
    registry.register(record("c" * 16, "draw", "paint"), None)
    assert farm.submit("digits", "draw").task.revision == "c" * 16


def test_a_call_of_a_space_that_is_gone_says_so(registry: Registry, farm: spaces.Farm) -> None:
    registry.register(record("a" * 16, "draw"), None)
    farm.submit("digits", "draw")
    registry.forget("digits")
    with pytest.raises(RefusedError, match="the farm knows no Space 'digits'"):
        farm.submit("digits", "draw")


def test_what_changes_without_the_revision_is_noticed_after_a_while(
    registry: Registry, farm: spaces.Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(record("a" * 16, "draw", duration=10.0), None)
    assert farm.submit("digits", "draw").task.time_limit == 10.0
    registry.register(record("a" * 16, "draw", duration=20.0), None)
    assert farm.submit("digits", "draw").task.time_limit == 10.0
    now = time.monotonic()
    monkeypatch.setattr(farm._spaces, "_clock", lambda: now + LIFETIME)
    assert farm.submit("digits", "draw").task.time_limit == 20.0


@pytest.mark.parametrize("name", ["d", "digits", "d" * 40, "größe"])
def test_only_the_latest_revision_is_accepted_where_a_task_says_so(queue: Queue, registry: Registry, name: str) -> None:
    registry.register(record(f"{'a' * 16}.999999", *(f"function_{number}" for number in range(100)), name=name), None)
    latest = replace(make_task(space=name), revision=f"{'a' * 16}.999999", only_latest=True)
    assert queue.push(latest, MESSAGE)
    assert not queue.push(latest, MESSAGE)
    with pytest.raises(SpaceChanged, match="has changed"):
        queue.push(replace(make_task(space=name), revision="a" * 16, only_latest=True), MESSAGE)
    assert queue.refused() == {}
