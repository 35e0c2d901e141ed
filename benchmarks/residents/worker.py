"""One worker that serves a list of calls in simulated time, through the real `Residency`."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

from benchmarks.residents.children import Child, Clock, Speeds
from benchmarks.residents.visits import Call
from spaces_workers.gpu.devices import Device
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.worker.anticipation import OPENED
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory
from spaces_workers.worker.gpu_memory.eviction import Eviction
from spaces_workers.worker.gpu_memory.prefetch import Prefetch
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget, level_of, wake
from spaces_workers.worker.gpu_memory.swap_costs import Level

#: The most children on the device at a time: its memory decides.
MANY = 1000


@dataclass(frozen=True, slots=True)
class Host:
    """A GPU and the memory beside it."""

    card_bytes: int
    budget: HostMemoryBudget | None
    speeds: Speeds
    sizes: Sequence[int]  #: bytes of each Space


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of calls has cost."""

    hits: float  #: part of the calls that found their child on the device
    swap_seconds: float  #: in an hour, that calls waited for
    ahead_seconds: float  #: in an hour, of swaps that nobody waited for
    mean_wait: float  #: seconds from a call to its begin
    most_held: int  #: bytes of the device at any moment


class Worker:
    """Serves calls one at a time: of those that wait, the one with the earliest time plus the seconds to its child."""

    def __init__(self, host: Host, demand: Callable[[str], float], clock: Clock, *, wakes_early: bool = False) -> None:
        self._host = host
        self._clock = clock
        device = Device("card", 0, "a card", host.card_bytes, "gpu", ("large",))
        memory = DeviceMemory(device, reading=lambda _: None)
        self.residency = Residency(MANY, memory, host.budget, Eviction(demand), clock)
        self._specs = [ZygoteSpec(f"space-{n}", "1", "app.py", "python", b"") for n in range(len(host.sizes))]
        self._prefetch = Prefetch(self.residency) if wakes_early else None
        self._hits = 0
        self._swapping = self._ahead = 0.0
        self._most_held = 0

    def run(self, calls: Sequence[Call], arrived: Callable[[Call], None]) -> Outcome:
        """All calls to their end; `arrived` is told of each one when it comes."""
        waits: list[float] = []
        waiting: list[Call] = []
        coming = list(reversed(calls))
        self._visits = sorted({(call.opened_at, call.name) for call in calls})
        while coming or waiting:
            if not waiting:
                self._idle_until(coming[-1])
            while coming and coming[-1].at <= self._clock.now:
                waiting.append(coming.pop())
                arrived(waiting[-1])
            call = min(waiting, key=self._rank())
            waiting.remove(call)
            child = self._child_for(call)
            waits.append(self._clock.now - call.at)
            self._clock.now += call.seconds
            child.tasks_done += 1
            child.is_saved = False
            self.residency.keep(child)
        hours = self._clock.now / 3600
        return Outcome(
            self._hits / len(calls), self._swapping / hours, self._ahead / hours, fmean(waits), self._most_held
        )

    def _idle_until(self, call: Call) -> None:
        """Nothing waits until this call comes: Spaces wake whose page was opened lately."""
        began = self._clock.now
        opened = [at for at, _ in self._visits[bisect(self._visits, (began, "")) :] if at < call.at]
        for moment in (began, *opened):
            if self._prefetch is not None and max(self._clock.now, moment) < call.at:
                self._clock.now = max(self._clock.now, moment)
                self._wake_early(call, self._prefetch)
        self._save_early(call)
        self._clock.now = max(self._clock.now, call.at)

    def _save_early(self, call: Call) -> None:
        if self._prefetch is not None and self._clock.now < call.at:
            began, self._clock.halt_at = self._clock.now, call.at
            self._prefetch.save()
            self._ahead += self._clock.now - began
        self._clock.halt_at = math.inf

    def _wake_early(self, call: Call, prefetch: Prefetch) -> None:
        began = self._clock.now
        first, last = (bisect(self._visits, (at, "")) for at in (began - OPENED, began + 1e-9))
        expected = list(dict.fromkeys(name for _, name in reversed(self._visits[first:last])))
        for name in expected:
            self._clock.halt_at = math.inf if name == call.name else call.at
            if self._clock.now < call.at:
                prefetch.wake(name, spared=expected)
        self._ahead += self._clock.now - began

    def _rank(self) -> Callable[[Call], float]:
        warmth = self.residency.warmth()
        return lambda call: call.at + warmth.seconds.get(call.name, warmth.unseen)

    def _child_for(self, call: Call) -> ChildLink:
        spec, began = self._specs[call.space], self._clock.now
        child = self.residency.take(spec)
        self._hits += child is not None and child.sleep is None
        if child is None:
            child = self._made(spec, self._host.sizes[call.space])
        else:
            self.residency.make_room_for(child)
            if child.sleep is not None:
                with self.residency.measured(spec.space, level_of(child)):
                    wake(child, self.residency)
        self._swapping += self._clock.now - began
        self._most_held = max(self._most_held, self.residency.held_bytes + child.memory.held_bytes)
        return child

    def _made(self, spec: ZygoteSpec, size: int) -> ChildLink:
        with self.residency.measured(spec.space, Level.HOST):
            self.residency.make_room_for_new(spec, size)
            return cast(ChildLink, Child(spec, size, self._host.speeds, self._clock))
