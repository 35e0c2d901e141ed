"""The time limit of a running task: a warning, a request to stop, a grace period, KILL. It runs on the monotonic clock
and apart from all else, so that neither a busy worker nor an absent broker can delay it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from spaces_workers.worker.run.alarms import Alarms

#: Seconds between the request to stop a function and the kill of its process.
GRACE = 1.0

#: A task is warned when this share of its time is used, if enough time is left for a warning.
WARNING_SHARE = 0.8
_WORTH_A_WARNING = 2.0

#: Seconds before the limit at which a task is looked at; one of few seconds in its middle.
LOOK = 10.0


@dataclass(frozen=True, slots=True)
class Steps:
    """The actions on a task that does not end by itself."""

    warn: Callable[[], None]
    terminate: Callable[[], None]
    kill: Callable[[], None]
    look: Callable[[], None]  #: some time before the end, for `terminate` to know whether anything happens at all


class Deadline:
    """Measures the time from `start()` until `stop()`. A task that ends before the first step costs no thread."""

    def __init__(self, time_limit: float, steps: Steps, alarms: Alarms, grace: float = GRACE) -> None:
        self._timetable = _timetable(time_limit, steps, grace)
        self._alarms = alarms
        self._over = threading.Event()

    def start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()
        self._alarms.set(self, self._started + self._timetable[0][0], self._watch)

    def stop(self) -> None:
        """Stop the clock, because the task has ended."""
        self._over.set()
        self._alarms.clear(self)

    def _watch(self) -> None:
        for due, act in self._timetable:
            if self._over.wait(max(0.0, self._started + due - time.monotonic())):
                return
            act()


def _timetable(time_limit: float, steps: Steps, grace: float) -> list[tuple[float, Callable[[], None]]]:
    warning, look = time_limit * WARNING_SHARE, max(time_limit / 2, time_limit - LOOK)
    table = [(look, steps.look), (time_limit, steps.terminate), (time_limit + grace, steps.kill)]
    if time_limit - warning >= _WORTH_A_WARNING:
        table.append((warning, steps.warn))
    return sorted(table, key=lambda step: step[0])
