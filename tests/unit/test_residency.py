"""What a worker knows of how soon it could begin a task: measured, by how much of the Space is here."""

from __future__ import annotations

from typing import cast

import pytest

from spaces.farm.warmth import MOST_KNOWN, Warmth
from spaces_workers import residency as residency_module
from spaces_workers.children import Child
from spaces_workers.messages import ZygoteSpec
from spaces_workers.residency import Residency
from spaces_workers.swap_costs import ASSUMED, Level, SwapCosts


class StubChild:
    """A child without a process."""

    gone = False

    def __init__(self, space: str) -> None:
        self.spec = spec_of(space)
        self.used_at = 0.0
        self.discarded = False

    def discard(self) -> None:
        self.discarded = True


def spec_of(space: str) -> ZygoteSpec:
    return ZygoteSpec(space=space, revision="1", app_file="app.py", python="python", key=b"")


def child_of(space: str) -> Child:
    return cast(Child, StubChild(space))


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(residency_module, "time", clock)
    return clock


def make(residency: Residency, clock: Clock, space: str, level: Level, seconds: float) -> None:
    with residency.measured(space, level):
        clock.now += seconds


def test_nothing_is_known_at_the_start() -> None:
    assert Residency(2).warmth() == Warmth({}, ASSUMED[Level.UNSEEN])


def test_each_level_costs_what_was_measured(clock: Clock) -> None:
    residency = Residency(2)
    make(residency, clock, "chat", Level.UNSEEN, 8.0)
    make(residency, clock, "chat", Level.HOST, 0.5)
    make(residency, clock, "digits", Level.UNSEEN, 4.0)
    residency.keep(child_of("digits"))
    assert residency.warmth() == Warmth({"chat": 0.5, "digits": 0.0}, unseen=6.0)


def test_a_space_without_a_measurement_of_its_own_costs_what_others_took(clock: Clock) -> None:
    residency = Residency(2)
    make(residency, clock, "digits", Level.HOST, 0.25)
    make(residency, clock, "names", Level.HOST, 0.75)
    make(residency, clock, "chat", Level.UNSEEN, 8.0)
    assert residency.warmth().seconds["chat"] == 0.5


def test_what_is_learned_follows_what_is_measured() -> None:
    costs = SwapCosts()
    for seconds in (1.0, 3.0, 3.0):
        costs.learn("chat", Level.HOST, seconds)
    assert costs.seconds("chat", Level.HOST) == 2.5
    assert costs.seconds("chat", Level.CHILD) == 0.0
    assert costs.seconds("chat", Level.GPU) == ASSUMED[Level.GPU]


def test_a_child_that_could_not_be_made_teaches_nothing(clock: Clock) -> None:
    residency = Residency(2)
    with pytest.raises(ValueError, match="no"), residency.measured("broken", Level.UNSEEN):
        raise ValueError("no")
    assert residency.warmth() == Warmth({}, ASSUMED[Level.UNSEEN])


def test_of_many_spaces_the_latest_are_told(clock: Clock) -> None:
    residency = Residency(2)
    residency.keep(child_of("space-00"))
    for number in range(MOST_KNOWN + 10):
        make(residency, clock, f"space-{number:02}", Level.UNSEEN, 1.0)
    told = residency.warmth().seconds
    assert set(told) == {"space-00", *(f"space-{number:02}" for number in range(10, MOST_KNOWN + 10))}


def test_the_least_recently_used_child_makes_room(clock: Clock) -> None:
    residency = Residency(2)
    first, second = child_of("first"), child_of("second")
    for child in (first, second):
        residency.keep(child)
        clock.now += 1
    residency.make_room()
    assert residency.children() == [second]
    assert residency.take(spec_of("second")) is second
    assert residency.take(spec_of("first")) is None
