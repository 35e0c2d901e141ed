"""Who makes room on a device and on the host: first the child whose room is worth least to its Space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest

from spaces.farm.queue.rules import SpaceRules
from spaces_workers.gpu.devices import GIB, Device
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.gpu_memory import host_capacity
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory
from spaces_workers.worker.gpu_memory.eviction import Demand, Eviction, Pins
from spaces_workers.worker.gpu_memory.host_capacity import Capacity
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget, level_of
from spaces_workers.worker.gpu_memory.swap_costs import Level

from .test_residency import Dozing, spec_of

DEVICE = Device("GPU-1", 0, "NVIDIA H200", 80 * GIB, "gpu", ("large",))


@pytest.fixture(autouse=True)
def much_host_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_capacity, "capacity", lambda: Capacity(total=1 << 50, available=1 << 50))


class Card:
    """A card of 80 GiB, with children that were used in the order in which they are given."""

    def __init__(
        self,
        rates: Mapping[str, float],
        rules: Mapping[str, SpaceRules] | None = None,
        budget: HostMemoryBudget | None = None,
        limit: int = 8,
    ) -> None:
        demand, self.now = Demand(), 0.0
        demand.hear(rates)
        known = rules or {}
        eviction = Eviction(demand, lambda space: known.get(space, SpaceRules()))
        memory = DeviceMemory(DEVICE, reading=lambda _: None)
        self.residency = Residency(limit, memory, budget, eviction, lambda: self.now)

    def keep(self, *children: Dozing) -> None:
        for child in children:
            self.now += 1
            self.residency.keep(cast(ChildLink, child))

    def admit(self, space: str, needed: int) -> dict[str, Level]:
        """Make room for a new child that is known to need so many GiB in all; returns who is left."""
        child = cast(ChildLink, Dozing(space, needed))
        self.residency._needs.learn(child.spec, child.memory)
        self.residency.make_room_for_new(spec_of(space), needed * GIB // 2)
        return {each.spec.space: level_of(each) for each in self.residency.children()}


def test_the_child_whose_return_is_expected_last_makes_room_not_the_one_used_longest_ago() -> None:
    card = Card({"popular": 0.1, "seldom": 0.001})
    card.keep(Dozing("popular", 20), Dozing("seldom", 20))
    assert card.admit("new", 40).keys() == {"popular"}


def test_of_children_that_are_called_as_often_the_one_that_returns_sooner_makes_room() -> None:
    card = Card({"slow": 0.01, "quick": 0.01})
    for space, seconds in (("slow", 5.0), ("quick", 0.5)):
        with card.residency.measured(space, Level.HOST):
            card.now += seconds
    card.keep(Dozing("quick", 20), Dozing("slow", 20))
    assert card.admit("new", 40).keys() == {"slow"}


def test_a_large_child_is_worth_no_more_than_as_many_small_ones() -> None:
    card = Card({"large": 0.015, "first": 0.01, "second": 0.01, "third": 0.01})
    card.keep(Dozing("first", 15), Dozing("second", 15), Dozing("third", 15), Dozing("large", 30))
    assert card.admit("new", 30).keys() == {"first", "second", "third"}


def test_without_calls_the_child_that_was_used_longest_ago_makes_room() -> None:
    card = Card({})
    card.keep(Dozing("old", 20), Dozing("young", 20))
    assert card.admit("new", 40).keys() == {"young"}


def test_a_pinned_space_stays_though_nobody_calls_it() -> None:
    card = Card({"popular": 0.1}, {"pinned": SpaceRules(pin=True)})
    card.keep(Dozing("pinned", 20), Dozing("popular", 20))
    assert card.admit("new", 40).keys() == {"pinned"}


def test_a_pinned_space_stays_while_a_task_can_begin_without_its_room() -> None:
    card = Card({}, {"pinned": SpaceRules(pin=True)})
    card.keep(Dozing("pinned", 50), Dozing("other", 10))
    card.residency.make_room_for_new(spec_of("unknown"), 20 * GIB)
    assert [child.spec.space for child in card.residency.children()] == ["pinned"]


def test_a_pinned_space_makes_room_for_a_task_that_could_not_begin_otherwise() -> None:
    card = Card({}, {"pinned": SpaceRules(pin=True)})
    card.keep(Dozing("pinned", 50))
    assert card.admit("new", 70) == {}


def test_a_pinned_space_stays_beyond_the_number_of_children() -> None:
    card = Card({}, {"pinned": SpaceRules(pin=True)}, limit=1)
    card.keep(Dozing("pinned", 10))
    assert card.admit("new", 10).keys() == {"pinned"}


def test_spaces_of_a_group_do_not_evict_each_other() -> None:
    rules = {name: SpaceRules(group="studio") for name in ("draw", "speak")}
    card = Card({"other": 0.1}, rules)
    card.keep(Dozing("draw", 20), Dozing("other", 20))
    assert card.admit("speak", 40).keys() == {"draw"}
    card.keep(Dozing("other", 20))
    assert card.admit("third", 40).keys() == {"other"}


def test_the_sleeper_that_is_expected_back_last_goes_when_the_host_is_full() -> None:
    card = Card({"popular": 0.1, "seldom": 0.001, "other": 0.05}, budget=HostMemoryBudget(45 * GIB, 45 * GIB))
    card.keep(Dozing("popular", 20, rest=0), Dozing("seldom", 20, rest=0))
    assert card.admit("new", 80) == {"popular": Level.PINNED, "seldom": Level.PINNED}
    card.keep(Dozing("other", 20, rest=0))
    assert card.admit("new", 80) == {"popular": Level.PINNED, "other": Level.PINNED}


def test_a_child_that_is_worth_less_than_all_sleepers_takes_no_place_from_them() -> None:
    card = Card({"popular": 0.1, "liked": 0.1, "seldom": 0.001}, budget=HostMemoryBudget(45 * GIB, 45 * GIB))
    card.keep(Dozing("popular", 20, rest=0), Dozing("liked", 20, rest=0))
    card.admit("new", 80)
    card.keep(Dozing("seldom", 20, rest=0))
    assert card.admit("new", 80) == {"popular": Level.PINNED, "liked": Level.PINNED}


def test_a_space_that_an_operator_pins_is_spared_like_one_of_the_settings() -> None:
    pins = Pins()
    eviction = Eviction(pins=pins)
    child = cast(ChildLink, Dozing("digits", 30))
    assert not eviction.spares(child, "names")
    pins.hear({"digits"})
    assert eviction.spares(child, "names")
