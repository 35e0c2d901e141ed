"""A worker's measured estimates of how soon it can begin a task, by how much of the Space is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from spaces.farm.queue.rules import SpaceRules
from spaces.farm.queue.warmth import MOST_KNOWN, Warmth
from spaces_workers.gpu.devices import GIB, Device, DeviceReading, standin
from spaces_workers.link.messages import MemoryUse, Unfit, ZygoteSpec
from spaces_workers.link.sleep_messages import Asleep
from spaces_workers.worker.child_copies import Copies
from spaces_workers.worker.child_link import ChildLink, StaysAwake, UnfitChild
from spaces_workers.worker.gpu_memory import host_capacity
from spaces_workers.worker.gpu_memory import residency as residency_module
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory, DoesNotFit
from spaces_workers.worker.gpu_memory.eviction import Eviction
from spaces_workers.worker.gpu_memory.host_capacity import Capacity
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget as Budget
from spaces_workers.worker.gpu_memory.sleepers import level_of, wake
from spaces_workers.worker.gpu_memory.swap_costs import ASSUMED, Level, SwapCosts


class StubChild:
    """A child without a process, of whose memory `spare` GiB are only cached."""

    gone = False
    is_trimmed = is_saved = is_unable = False
    sleep: Asleep | None = None
    host_bytes = 0

    def __init__(self, space: str, held: float = 0, peak: float = 0, spare: float = 0, answers: bool = True) -> None:
        self.spec = spec_of(space)
        self.used_at = 0.0
        self.tasks_done = 1 if peak else 0
        self.memory = MemoryUse(int(held * GIB), int(peak * GIB))
        self.discarded = False
        self._spare = spare
        self._answers = answers

    def trim(self) -> None:
        if not self._answers:
            raise TimeoutError
        self.is_trimmed = True
        self.memory = MemoryUse(self.memory.held_bytes - int(self._spare * GIB), self.memory.peak_bytes)

    def discard(self) -> None:
        self.discarded = True

    def go_on(self) -> None:
        pass


def spec_of(space: str) -> ZygoteSpec:
    return ZygoteSpec(space=space, revision="1", app_file="app.py", python="python", key=b"")


def child_of(space: str, held: float = 0, peak: float = 0, spare: float = 0) -> ChildLink:
    return cast(ChildLink, StubChild(space, held, peak, spare))


def residency_of(limit: int) -> Residency:
    return Residency(limit, DeviceMemory(standin(0)))


def on_gpu(gigabytes: int, used: int = 0, limit: int = 8) -> Residency:
    """The children on a GPU of this size, of which the driver counts so much as used."""
    device = Device("GPU-1", 0, "NVIDIA H200", gigabytes * GIB, "gpu", ("large",))
    reading = DeviceReading(used * GIB, gigabytes * GIB, 0, 0)
    return Residency(limit, DeviceMemory(device, reading=lambda _: reading))


class Clock:
    """A clock that the test advances."""

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
    assert residency_of(2).warmth() == Warmth({}, ASSUMED[Level.UNSEEN])


def test_each_level_costs_what_was_measured(clock: Clock) -> None:
    residency = residency_of(2)
    make(residency, clock, "chat", Level.UNSEEN, 8.0)
    make(residency, clock, "chat", Level.HOST, 0.5)
    make(residency, clock, "digits", Level.UNSEEN, 4.0)
    residency.keep(child_of("digits"))
    assert residency.warmth() == Warmth({"chat": 0.5, "digits": 0.0}, unseen=6.0)


def test_a_space_without_a_measurement_of_its_own_costs_what_others_took(clock: Clock) -> None:
    residency = residency_of(2)
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


def test_a_child_that_could_not_be_made_teaches_nothing(clock: Clock) -> None:
    residency = residency_of(2)
    with pytest.raises(ValueError, match="no"), residency.measured("broken", Level.UNSEEN):
        raise ValueError("no")
    assert residency.warmth() == Warmth({}, ASSUMED[Level.UNSEEN])


def test_of_many_spaces_the_latest_are_told(clock: Clock) -> None:
    residency = residency_of(2)
    residency.keep(child_of("space-00"))
    for number in range(MOST_KNOWN + 10):
        make(residency, clock, f"space-{number:02}", Level.UNSEEN, 1.0)
    told = residency.warmth().seconds
    assert set(told) == {"space-00", *(f"space-{number:02}" for number in range(10, MOST_KNOWN + 10))}


def test_the_least_recently_used_child_makes_room(clock: Clock) -> None:
    residency = residency_of(2)
    first, second = child_of("first"), child_of("second")
    for child in (first, second):
        residency.keep(child)
        clock.now += 1
    residency.make_room_for_new(spec_of("third"), 0)
    assert residency.children() == [second]
    assert residency.take(spec_of("second")) is second
    assert residency.take(spec_of("first")) is None


def seen(residency: Residency, clock: Clock, *children: ChildLink) -> None:
    for child in children:
        clock.now += 1
        residency.keep(child)


def spaces_in(residency: Residency) -> list[str]:
    return sorted(child.spec.space for child in residency.children())


def test_a_space_that_was_never_seen_gets_the_gpu_for_itself(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("chat", held=10, peak=12), child_of("digits", held=2, peak=3))
    residency.make_room_for_new(spec_of("new"), 5 * GIB)
    assert spaces_in(residency) == []


def test_what_was_seen_to_fit_stays(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("chat", held=30, peak=40), child_of("digits", held=10, peak=20))
    digits = residency.take(spec_of("digits"))
    assert digits is not None
    residency.make_room_for(digits)
    assert spaces_in(residency) == ["chat"]


def test_the_least_recently_used_goes_where_memory_is_short(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("known", held=30, peak=30))
    assert residency.take(spec_of("known")) is not None
    seen(residency, clock, child_of("old", held=30, peak=30), child_of("young", held=30, peak=30))
    residency.make_room_for_new(spec_of("known"), 30 * GIB)
    assert spaces_in(residency) == ["young"]


def test_memory_that_is_only_kept_for_later_is_given_back_before_anybody_goes(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("known", held=30, peak=30))
    assert residency.take(spec_of("known")) is not None
    seen(residency, clock, child_of("chat", held=40, peak=40, spare=25), child_of("digits", held=20, peak=20))
    residency.make_room_for_new(spec_of("known"), 30 * GIB)
    assert spaces_in(residency) == ["chat", "digits"]


def test_a_child_that_does_not_give_back_is_gone(clock: Clock) -> None:
    residency = on_gpu(80)
    mute = cast(ChildLink, StubChild("mute", held=10, answers=False))
    seen(residency, clock, mute)
    residency.make_room_for_new(spec_of("new"), 0)
    assert spaces_in(residency) == []
    assert cast(StubChild, mute).discarded


def test_what_others_hold_of_the_gpu_counts(clock: Clock) -> None:
    residency = on_gpu(80, used=75)
    seen(residency, clock, child_of("chat", held=5, peak=6), child_of("digits", held=1, peak=1))
    digits = residency.take(spec_of("digits"))
    assert digits is not None
    residency.make_room_for(digits)
    assert spaces_in(residency) == ["chat"]
    seen(residency, clock, digits, child_of("names", held=1, peak=12))
    names = residency.take(spec_of("names"))
    assert names is not None
    residency.make_room_for(names)
    assert spaces_in(residency) == []


def test_a_space_that_found_too_little_memory_has_all_of_it_next_time(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("greedy", held=5, peak=6), child_of("chat", held=5, peak=6))
    assert residency.take(spec_of("greedy")) is not None
    residency.learn_shortage(spec_of("greedy"))
    residency.make_room_for_new(spec_of("greedy"), 5 * GIB)
    assert spaces_in(residency) == []


def test_a_shortage_is_forgotten_once_a_task_has_ended_well(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("greedy", held=5, peak=6))
    residency.learn_shortage(spec_of("greedy"))
    greedy = residency.take(spec_of("greedy"))
    assert greedy is not None
    seen(residency, clock, greedy, child_of("chat", held=5, peak=6))
    assert residency.take(spec_of("greedy")) is greedy
    residency.make_room_for(greedy)
    assert spaces_in(residency) == ["chat"]


def test_a_space_that_cannot_tell_what_it_needs_goes_on_getting_all(clock: Clock) -> None:
    residency = on_gpu(80)
    mute = child_of("without-torch", held=1)
    mute.tasks_done, mute.memory = 1, MemoryUse(GIB, None)
    seen(residency, clock, mute, child_of("chat", held=5, peak=6))
    assert residency.take(spec_of("without-torch")) is mute
    residency.make_room_for(mute)
    assert spaces_in(residency) == []


def test_a_dead_child_holds_nothing(clock: Clock) -> None:
    residency = on_gpu(80)
    seen(residency, clock, child_of("known", held=20, peak=20))
    known = residency.take(spec_of("known"))
    assert known is not None
    dead = cast(StubChild, child_of("dead", held=60))
    dead.gone = True
    seen(residency, clock, child_of("chat", held=5, peak=6), cast(ChildLink, dead))
    residency.make_room_for(known)
    assert spaces_in(residency) == ["chat"]


def test_on_a_stand_in_spaces_share_while_their_weights_fit(clock: Clock) -> None:
    residency = residency_of(8)
    seen(residency, clock, child_of("chat", held=60, peak=60))
    residency.make_room_for_new(spec_of("new"), 60 * GIB)
    assert spaces_in(residency) == ["chat"]
    seen(residency, clock, child_of("new", held=60, peak=60))
    residency.make_room_for_new(spec_of("third"), 60 * GIB)
    assert spaces_in(residency) == ["new"]


class Dozing(StubChild):
    """A child that can sleep, in which it keeps `rest` GiB of the device."""

    def __init__(self, space: str, held: float, rest: float = 0.5, wakes: tuple[bool, ...] = (True,)) -> None:
        super().__init__(space, held, held)
        self._rest = int(rest * GIB)
        self._wakes = list(wakes)
        self.copies = Copies()
        self.host_bytes = self.pinned_bytes = 0

    def put_to_sleep(self, *, pinned: bool) -> None:
        left = self.memory.held_bytes - self._rest
        if not self.host_bytes:
            self.host_bytes, self.pinned_bytes = left, left if pinned else 0
        self.memory = MemoryUse(self._rest, None)
        self.sleep = Asleep(self.memory, left, self.host_bytes, self.pinned_bytes)

    def save(self, *, pinned: bool) -> None:
        self.host_bytes, self.is_saved = self.memory.held_bytes, True
        self.pinned_bytes = self.host_bytes if pinned else 0

    def wake(self, *, keep: bool) -> None:
        if self.sleep is not None:
            if not self._wakes.pop(0):
                raise UnfitChild(self.spec.space, Unfit("CUDA out of memory", True))
            self.memory = MemoryUse(self._rest + self.sleep.left_bytes, None)
        self.sleep = None
        self.host_bytes, self.pinned_bytes = (self.host_bytes, self.pinned_bytes) if keep else (0, 0)


def with_budget(gigabytes: int, budget: Budget, *children: Dozing) -> tuple[Residency, list[ChildLink]]:
    device = Device("GPU-1", 0, "NVIDIA H200", gigabytes * GIB, "gpu", ("large",))
    residency = Residency(8, DeviceMemory(device, reading=lambda _: None), budget)
    return residency, [cast(ChildLink, each) for each in children]


@pytest.fixture
def much_host_memory(monkeypatch: pytest.MonkeyPatch) -> Budget:
    monkeypatch.setattr(host_capacity, "capacity", lambda: Capacity(total=1 << 50, available=1 << 50))
    return Budget(1 << 40, 25 * GIB)


def levels(residency: Residency) -> dict[str, Level]:
    return {child.spec.space: level_of(child) for child in residency.children()}


def test_those_that_make_room_sleep_pinned_as_far_as_that_goes(clock: Clock, much_host_memory: Budget) -> None:
    residency, children = with_budget(80, much_host_memory, Dozing("old", 20), Dozing("young", 20))
    seen(residency, clock, *children)
    residency.make_room_for_new(spec_of("new"), 5 * GIB)
    assert levels(residency) == {"old": Level.PINNED, "young": Level.ASLEEP}
    assert residency.warmth().seconds == {"old": ASSUMED[Level.PINNED], "young": ASSUMED[Level.ASLEEP]}


def test_a_sleeper_is_killed_for_memory_that_another_cannot_begin_without(
    clock: Clock, much_host_memory: Budget
) -> None:
    residency, children = with_budget(80, much_host_memory, Dozing("old", 20, rest=10), Dozing("young", 20, rest=10))
    seen(residency, clock, *children)
    residency.make_room_for_new(spec_of("new"), 65 * GIB)
    assert levels(residency) == {"young": Level.ASLEEP}


def test_a_sleeper_that_was_told_it_lacked_memory_wakes_after_the_next_eviction(
    clock: Clock, much_host_memory: Budget
) -> None:
    late = Dozing("late", 20, wakes=(False, True))
    budget = replace(much_host_memory, pinned_bytes=50 * GIB)
    residency, children = with_budget(80, budget, late, Dozing("next", 20))
    seen(residency, clock, *children)
    late.put_to_sleep(pinned=True)
    assert residency.take(spec_of("late")) is children[0]
    wake(children[0], residency)
    assert late.sleep is None
    assert levels(residency) == {"next": Level.PINNED}


def test_without_room_on_the_host_a_child_is_killed_as_ever(clock: Clock, much_host_memory: Budget) -> None:
    residency, children = with_budget(80, replace(much_host_memory, host_bytes=10 * GIB), Dozing("old", 20))
    seen(residency, clock, *children)
    residency.make_room_for_new(spec_of("new"), 5 * GIB)
    assert levels(residency) == {}
    assert children[0].discarded  # type: ignore[attr-defined]


def test_a_sleeper_is_not_ready_before_it_is_woken(clock: Clock, much_host_memory: Budget) -> None:
    sleeper = Dozing("late", 20)
    residency, children = with_budget(80, much_host_memory, sleeper)
    seen(residency, clock, *children)
    sleeper.put_to_sleep(pinned=True)
    assert residency.take_ready(spec_of("late")) is None
    assert residency.take(spec_of("late")) is children[0]


def test_a_child_keeps_its_copies_until_the_host_needs_the_room(clock: Clock, much_host_memory: Budget) -> None:
    """Copies in ordinary memory were made anew for each sleep, which cost more than a new child."""
    budget = replace(much_host_memory, host_bytes=50 * GIB, pinned_bytes=0)
    first, second, third = Dozing("first", 20), Dozing("second", 20), Dozing("third", 20)
    residency, children = with_budget(80, budget, first, second)
    seen(residency, clock, *children)
    residency.make_room_for_new(spec_of("whole"), 5 * GIB)
    assert levels(residency) == {"first": Level.ASLEEP, "second": Level.ASLEEP}
    taken = residency.take(spec_of("first"))
    assert taken is children[0]
    wake(taken, residency)
    seen(residency, clock, taken, cast(ChildLink, third))
    copies = first.host_bytes
    assert copies > 0
    residency.make_room_for_new(spec_of("whole"), 5 * GIB)
    assert levels(residency) == {"first": Level.ASLEEP, "third": Level.ASLEEP}
    assert first.host_bytes == copies


def test_copies_of_a_child_on_the_device_go_before_a_sleeper_does(clock: Clock, much_host_memory: Budget) -> None:
    awake, sleeper, late = Dozing("awake", 20), Dozing("sleeper", 20), Dozing("late", 20)
    budget = replace(much_host_memory, host_bytes=45 * GIB, pinned_bytes=45 * GIB)
    residency, children = with_budget(80, budget, awake, sleeper, late)
    for child in (awake, sleeper):
        child.put_to_sleep(pinned=True)
    awake.wake(keep=True)
    seen(residency, clock, children[1], children[2], children[0])
    late.tasks_done = 1
    residency.host.put(children[2])
    assert levels(residency) == {"awake": Level.CHILD, "sleeper": Level.PINNED, "late": Level.PINNED}
    assert awake.host_bytes == 0


def test_copies_of_a_child_that_runs_a_task_count_too(clock: Clock, much_host_memory: Budget) -> None:
    runs, late = Dozing("runs", 20), Dozing("late", 20)
    residency, children = with_budget(80, replace(much_host_memory, host_bytes=25 * GIB), runs, late)
    runs.put_to_sleep(pinned=True)
    runs.wake(keep=True)
    seen(residency, clock, *children)
    assert residency.take(spec_of("runs")) is children[0]
    residency.make_room_for_new(spec_of("whole"), 5 * GIB)
    assert levels(residency) == {}


def test_a_sleep_in_ordinary_memory_that_costs_more_than_a_new_child_is_not_tried_again() -> None:
    costs = SwapCosts()
    costs.learn("chat", Level.HOST, 3.0)
    assert costs.sleep_pays("chat", is_saved=False)
    costs.learn_sleep("chat", 2.0)
    costs.learn("chat", Level.ASLEEP, 2.0)
    assert not costs.sleep_pays("chat", is_saved=False)
    costs.learn_sleep("chat", 0.1)  # it had kept the copies
    assert costs.sleep_pays("chat", is_saved=False)


def test_a_child_that_cannot_save_its_tensors_is_not_asked_again_nor_counted_as_saved(
    clock: Clock, much_host_memory: Budget
) -> None:
    """It counted as saved, so that its way to sleep counted as free."""
    orders = []

    class Unable(Dozing):
        def save(self, *, pinned: bool) -> None:
            orders.append(pinned)
            raise StaysAwake("it holds a mapped file")

    residency, (child,) = with_budget(80, much_host_memory, Unable("mapped", 20))
    seen(residency, clock, child)
    assert residency.host.can_save(child)
    residency.host.save(child)
    assert not residency.host.can_save(child)
    assert orders == [True]
    assert not child.is_saved


def test_a_child_without_a_task_is_given_the_room_of_its_weights_alone() -> None:
    residency = on_gpu(20)
    for space in ("old", "new"):
        residency.keep(child_of(space, held=8, peak=8))
    residency.make_room_for_weights(spec_of("loaded"), 10 * GIB)
    assert [child.spec.space for child in residency.children()] == ["new"]


def test_nobody_who_is_spared_makes_room_for_a_child_without_a_task() -> None:
    rules = {"pinned": SpaceRules(pin=True)}
    memory = DeviceMemory(Device("GPU-1", 0, "NVIDIA H200", 20 * GIB, "gpu", ("large",)), reading=lambda _: None)
    residency = Residency(8, memory, eviction=Eviction(rules=lambda space: rules.get(space, SpaceRules())))
    residency.keep(child_of("pinned", held=8, peak=8))
    residency.keep(child_of("other", held=8, peak=8))
    complaint = "'large' does not fit: it has 14 GiB of weights, and the worker's device 20 GiB, where pinned keep"
    with pytest.raises(DoesNotFit, match=complaint):
        residency.check_room("large", 14 * GIB)
    assert len(residency.children()) == 2
    residency.check_room("small", 12 * GIB)
    residency.make_room_for_weights(spec_of("small"), 12 * GIB)
    assert [child.spec.space for child in residency.children()] == ["pinned"]
