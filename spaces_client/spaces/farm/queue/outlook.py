"""Where a task stands and how long it will wait, for whoever waits for it. One `Outlook` for each process.

A place is exact and costs the broker O(log n). The forecast behind the seconds is made about once a second for the
whole farm, by whoever asks first, and is kept in the broker for the others.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgpack

from spaces.farm import wire
from spaces.farm.queue.forecast import Forecast, InHand, Line, Server, Waiting, forecast

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue

#: Seconds for which a forecast serves everybody.
FRESH = 1.0

#: Tasks at the head of each queue that a forecast knows one by one, and samples of the rest. Together they cost the
#: broker some 0.5 ms.
HEAD, SAMPLES = 64, 64


@dataclass(frozen=True, slots=True)
class Place:
    """Where a waiting task stands in the queue of its size."""

    ahead: int  #: tasks before it; 0 for the next one
    waiting: int  #: tasks in its queue, with itself
    seconds: float | None  #: expected until it begins; None while no live worker can run it


class Outlook:
    """Answers with what was forecast a moment ago. Safe to use from several threads; raises redis's errors."""

    def __init__(self, queue: Queue, fresh: float = FRESH) -> None:
        self._queue = queue
        self._fresh = fresh
        self._lock = threading.Lock()
        self._latest = Forecast(())
        self._read_at = -fresh

    def place(self, task: str) -> Place | None:
        """Where a task stands; None if it does not wait."""
        found = self._queue.scripts.run("place", self._queue.keys.task(task), task)
        if found is None:
            return None
        ahead, waiting, size = cast(tuple[int, int, bytes], tuple(found))
        return Place(ahead, waiting, self.forecast().of(size.decode()).wait(ahead))

    def forecast(self) -> Forecast:
        """When what waits begins; a second or two old at most."""
        with self._lock:
            if time.monotonic() - self._read_at >= self._fresh:
                self._latest = self._shared() or self._made()
                self._read_at = time.monotonic()
            return self._latest

    def _shared(self) -> Forecast | None:
        packed = cast(bytes | None, self._queue.redis.get(self._queue.keys.forecast()))
        try:
            found = None if packed is None else wire.unpack(packed)
        except (ValueError, TypeError):  # another version's
            return None
        return found if isinstance(found, Forecast) else None

    def _made(self) -> Forecast:
        keys = self._queue.keys
        made = forecast(*_survey(self._queue.scripts.run("survey", keys.workers(), HEAD, SAMPLES)))
        self._queue.redis.set(keys.forecast(), wire.pack(made), px=math.ceil(self._fresh * 1000))
        return made


def _survey(packed: Any) -> tuple[list[Line], list[Server]]:  # Any: the answer of survey.lua
    queues, workers = msgpack.unpackb(packed)
    lines = [Line(size, depth, tuple(Waiting(*task) for task in tasks)) for size, depth, tasks in queues]
    return lines, [Server(tuple(sizes), tuple(InHand(*task) for task in tasks)) for sizes, tasks in workers]
