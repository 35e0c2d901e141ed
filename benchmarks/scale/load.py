"""A load of tasks on a fleet during which something is killed again and again, and what became of every task."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from benchmarks.scale.brokers import make_task
from benchmarks.scale.fleet import Entry, Fleet
from benchmarks.scale.light_worker import persistent
from spaces.farm import wire
from spaces.farm.connection import connect
from spaces.farm.events import is_end
from spaces.farm.queue.queue import Queue

#: Tasks that wait at most: workers never run dry, and a task that comes back finds others before it.
BACKLOG = 200

#: Seconds after which a task that has not ended counts as lost.
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Counts of tasks; `recoveries` are the seconds from a kill to the second start of the task in flight."""

    accepted: int
    lost: int  #: never ended
    ended_twice: int
    ran_twice: int
    ran_after_end: int  #: started after their end had been accepted
    recoveries: list[float]


class Load:
    """Pushes tasks while it kills, and looks at each task afterwards."""

    def __init__(self, url: str, fleet: Fleet) -> None:
        self._queue = Queue(connect(url))
        self._fleet = fleet

    def run(self, tasks: int, kills: int, kill: Callable[[], None]) -> Outcome:
        """Kill after each equal part of the tasks."""
        ids = []
        for number in range(tasks):
            if number % (tasks // kills) == tasks // kills // 2:
                kill()
            task = make_task(f"space-{number % 7}", client="")
            persistent(lambda task=task: self._queue.push(task, b""))  # type: ignore[misc]
            ids.append(task.id)
            if number % BACKLOG == 0:
                self._keep_backlog()
        lost = self._wait_for_ends(ids)
        self._fleet.stop()
        return self._outcome(ids, lost)

    def _keep_backlog(self) -> None:
        while persistent(lambda: self._queue.depth("large")) > BACKLOG:
            time.sleep(0.01)

    def _wait_for_ends(self, ids: list[str]) -> int:
        """How many have not ended when they should have."""
        deadline = time.monotonic() + PATIENCE
        while ids and time.monotonic() < deadline:
            ids = [task for task in ids if not _has_ended(self._queue, task)]
        return len(ids)

    def _outcome(self, ids: list[str], lost: int) -> Outcome:
        starts, ends = _by_task(self._fleet, "start"), _by_task(self._fleet, "end")
        twice = [runs for runs in starts.values() if len(runs) > 1]
        killed = self._fleet.killed
        return Outcome(
            accepted=len(ids),
            lost=lost,
            ended_twice=sum(_ends(self._queue, task) > 1 for task in ids),
            ran_twice=len(twice),
            ran_after_end=sum(runs[-1].time > ends[runs[0].task][0].time for runs in twice if runs[0].task in ends),
            recoveries=[runs[1].time - killed[runs[0].worker] for runs in twice if runs[0].worker in killed],
        )


def _by_task(fleet: Fleet, what: str) -> dict[str, list[Entry]]:
    """The entries of each task, in the order of time."""
    found = defaultdict(list)
    for entry in sorted(fleet.journal(), key=lambda entry: entry.time):
        if entry.what == what:
            found[entry.task].append(entry)
    return dict(found)


def _has_ended(queue: Queue, task: str) -> bool:
    state = queue.state(task)
    return state is not None and state.state.final


def _ends(queue: Queue, task: str) -> int:
    """How many last events stand in the task's stream."""
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], queue.redis.xrange(queue.keys.events(task)))
    return sum(is_end(wire.unpack(fields[b"e"])) for _, fields in entries)
