"""Sleepers that wake ahead of their tasks, and no task that is later because of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from spaces_workers.gpu.devices import GIB
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.worker.child_link import ChildLink, Halted
from spaces_workers.worker.gpu_memory import prefetch as prefetch_module
from spaces_workers.worker.gpu_memory.prefetch import EXPECTED, Prefetch
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget, level_of
from spaces_workers.worker.gpu_memory.swap_costs import Level

from .test_eviction import Card
from .test_eviction import much_host_memory as much_host_memory
from .test_residency import Dozing, spec_of

PATIENCE = 30.0
PLENTY = HostMemoryBudget(1 << 40, 1 << 40)


class Slow(Dozing):
    """A child that wakes, or goes to sleep, once it is let, unless it is halted first."""

    def __init__(self, space: str, held: float) -> None:
        super().__init__(space, held, rest=0)
        self.obeys, self._let, self._halted = threading.Event(), threading.Event(), False

    def let(self) -> None:
        self._let.set()

    def halt(self) -> None:
        self._halted = True
        self._let.set()

    def put_to_sleep(self, *, pinned: bool) -> None:
        self._wait()
        super().put_to_sleep(pinned=pinned)

    def save(self, *, pinned: bool) -> None:
        self._wait()
        super().save(pinned=pinned)

    def wake(self, *, keep: bool) -> None:
        self._wait()
        super().wake(keep=keep)

    def _wait(self) -> None:
        self.obeys.set()
        assert self._let.wait(PATIENCE)
        self._let.clear()
        if self._halted:
            raise Halted(self.spec.space)


class Deaf(Slow):
    """A child that does not halt; killed, it answers no more."""

    def halt(self) -> None:
        pass

    def kill(self) -> None:
        self._halted = True
        self._let.set()

    def _wait(self) -> None:
        try:
            super()._wait()
        except Halted:
            raise ChannelClosed("it was killed") from None


class Scene:
    """A card of 80 GiB on which a child is asleep, and other threads."""

    def __init__(
        self, *others: Dozing, rates: dict[str, float] | None = None, budget: HostMemoryBudget = PLENTY
    ) -> None:
        self.card = Card(rates or {}, budget=budget)
        self.residency = self.card.residency
        self.prefetch = Prefetch(self.residency)
        self.sleeper = Slow("late", 30)
        self.card.keep(self.sleeper, *others)
        self.sleeper.let()
        self.sleeper.put_to_sleep(pinned=True)
        self.sleeper.obeys.clear()
        self.threads = ThreadPoolExecutor()

    def levels(self) -> dict[str, Level]:
        return {each.spec.space: level_of(each) for each in self.residency.children()}


@pytest.fixture
def alone() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.threads.shutdown()


def test_a_sleeper_wakes_where_there_is_room(alone: Scene) -> None:
    alone.sleeper.let()
    assert alone.prefetch.wake("late")
    assert alone.levels() == {"late": Level.CHILD}
    assert not alone.prefetch.wake("late")
    assert not alone.prefetch.wake("unknown")


def test_only_on_an_idle_gpu_does_a_child_that_is_seldom_called_make_room() -> None:
    scene = Scene(Dozing("seldom", 40), Dozing("popular", 20), rates={"seldom": 0.0001, "popular": EXPECTED})
    scene.sleeper.let()
    assert not scene.prefetch.wake("late", running=[cast(ChildLink, Dozing("runs", 0))])
    assert scene.prefetch.wake("late")
    assert scene.levels() == {"seldom": Level.PINNED, "popular": Level.CHILD, "late": Level.CHILD}


def test_no_sleeper_is_killed_for_room_on_the_host_that_the_first_child_has_used_up() -> None:
    """The room was looked up once for all, so that the second child killed the sleeper that was to wake."""
    first, second = Dozing("first", 35, rest=20), Dozing("second", 35, rest=20)
    scene = Scene(first, second, budget=HostMemoryBudget(70 * GIB, 70 * GIB))
    assert not scene.prefetch.wake("late")
    assert scene.levels() == {"first": Level.PINNED, "second": Level.CHILD, "late": Level.PINNED}


def test_a_child_that_is_expected_itself_makes_no_room() -> None:
    scene = Scene(Dozing("opened", 60), rates={})
    assert not scene.prefetch.wake("late", spared=["late", "opened"])
    assert scene.levels() == {"late": Level.PINNED, "opened": Level.CHILD}


def test_a_task_of_another_space_does_not_wait_for_a_prefetch(alone: Scene) -> None:
    prefetched = alone.threads.submit(alone.prefetch.wake, "late")
    assert alone.sleeper.obeys.wait(PATIENCE)
    with alone.prefetch.halted("other"):
        assert alone.levels() == {"late": Level.PINNED}
        assert not alone.prefetch.wake("late")
    assert not prefetched.result(PATIENCE)
    assert not alone.sleeper.discarded


def test_nor_for_a_child_that_does_not_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch_module, "HALT_PATIENCE", 0.01)
    deaf = Deaf("deaf", 10)
    scene = Scene(deaf)
    saving = scene.threads.submit(scene.prefetch.save)
    assert deaf.obeys.wait(PATIENCE)
    with scene.prefetch.halted("other"):
        assert scene.levels() == {"late": Level.PINNED}
    saving.result(PATIENCE)
    assert deaf.discarded
    scene.threads.shutdown()


def test_nor_for_a_child_that_makes_room_for_one() -> None:
    victim = Slow("seldom", 60)
    scene = Scene(victim)
    prefetched = scene.threads.submit(scene.prefetch.wake, "late")
    assert victim.obeys.wait(PATIENCE)
    with scene.prefetch.halted("seldom"):
        assert scene.residency.take(spec_of("seldom")) is cast(ChildLink, victim)
        assert victim.sleep is None
    assert not prefetched.result(PATIENCE)
    assert scene.levels() == {"late": Level.PINNED}
    scene.threads.shutdown()


def test_a_task_of_the_same_space_gets_the_child_that_wakes(alone: Scene) -> None:
    prefetched = alone.threads.submit(alone.prefetch.wake, "late")
    assert alone.sleeper.obeys.wait(PATIENCE)

    def run() -> ChildLink | None:
        with alone.prefetch.halted("late"):
            return alone.residency.take(spec_of("late"))

    taken = alone.threads.submit(run)
    alone.sleeper.let()
    assert prefetched.result(PATIENCE)
    assert taken.result(PATIENCE) is cast(ChildLink, alone.sleeper)
    assert alone.sleeper.sleep is None


def test_a_warm_child_begins_its_task_while_another_wakes_if_it_has_room() -> None:
    roomy, tight = Dozing("roomy", 10, rest=0), Dozing("tight", 10, rest=0)
    scene = Scene(roomy, tight)
    tight.memory = type(tight.memory)(10 * GIB, 40 * GIB)
    scene.card.keep(tight)
    prefetched = scene.threads.submit(scene.prefetch.wake, "late")
    assert scene.sleeper.obeys.wait(PATIENCE)
    assert scene.residency.take_ready(spec_of("late")) is None
    assert scene.residency.take_ready(spec_of("tight")) is None
    assert scene.residency.take_ready(spec_of("roomy")) is cast(ChildLink, roomy)
    scene.sleeper.let()
    assert prefetched.result(PATIENCE)
    scene.threads.shutdown()


@pytest.mark.parametrize(("needs", "wakes"), [(40, True), (50, False)])
def test_a_sleeper_wakes_beside_a_task_only_into_memory_that_this_does_not_need(needs: int, wakes: bool) -> None:
    runs = Dozing("runs", 10)
    runs.memory = type(runs.memory)(10 * GIB, int(needs / 1.15) * GIB)
    scene = Scene(runs)
    assert scene.residency.take(spec_of("runs")) is cast(ChildLink, runs)
    scene.sleeper.let()
    assert scene.prefetch.wake("late", running=[cast(ChildLink, runs)]) == wakes
    assert scene.levels() == {"late": Level.CHILD if wakes else Level.PINNED}


def test_a_child_that_a_task_has_got_meanwhile_is_not_moved(alone: Scene) -> None:
    """A child that is told to sleep while it runs a task ends."""
    child = cast(ChildLink, Dozing("quick", 1))
    alone.card.keep(cast(Dozing, child))
    assert alone.residency.take_ready(spec_of("quick")) is child
    with pytest.raises(Halted, match="was not moved"), alone.residency.moving(child):
        pass


def test_a_sleeper_that_found_the_device_full_sleeps_on() -> None:
    scene = Scene()
    scene.sleeper._wakes = [False]
    scene.sleeper.let()
    assert not scene.prefetch.wake("late")
    assert scene.levels() == {"late": Level.PINNED}
    assert not scene.sleeper.discarded


def test_children_save_their_tensors_until_a_task_needs_the_device(alone: Scene) -> None:
    first, second = Slow("first", 10), Slow("second", 10)
    alone.card.keep(first, second)
    saving = alone.threads.submit(alone.prefetch.save)
    assert first.obeys.wait(PATIENCE)
    first.let()
    assert second.obeys.wait(PATIENCE)
    with alone.prefetch.halted("second"):
        assert alone.residency.take(spec_of("second")) is cast(ChildLink, second)
    saving.result(PATIENCE)
    assert (first.is_saved, second.is_saved) == (True, False)
    assert first.host_bytes == 10 * GIB
    assert alone.levels() == {"first": Level.CHILD, "late": Level.PINNED}


def test_a_dead_child_is_buried_unless_others_are_moved(alone: Scene) -> None:
    dead = Dozing("dead", 10)
    dead.gone = True
    alone.card.keep(dead)
    with alone.prefetch.halted("other"):
        alone.prefetch.bury()
        assert not dead.discarded
    alone.prefetch.bury()
    assert dead.discarded
    assert alone.levels() == {"late": Level.PINNED}
