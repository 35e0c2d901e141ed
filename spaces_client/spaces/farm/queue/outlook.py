"""The place of a queued task and its expected wait. Each process has one `Outlook`.

A place is exact and costs the broker O(log n). The seconds come from a forecast for the whole farm. It is made about
once a second by the first process that asks, and kept in the broker for the others.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgpack

from spaces.farm import wire
from spaces.farm.queue.forecast import Forecast, InHand, Line, Server, Waiting, forecast

if TYPE_CHECKING:
    from redis import Redis

    from spaces.farm.queue.keys import Keys
    from spaces.farm.queue.scripts import Scripts

#: Seconds for which a forecast is reused.
FRESH = 1.0

#: Tasks at the head of each queue that a forecast reads one by one, and samples of the rest. Together they cost the
#: broker about 0.5 ms.
HEAD, SAMPLES = 64, 64

#: Tasks whose places one call of a script looks up; each costs the broker some 2 us.
ASKED = 500


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a waiting task in the queue of its size."""

    ahead: int  #: tasks before it; 0 for the next one
    waiting: int  #: tasks in its queue, including itself
    seconds: float | None  #: expected wait; None while no live worker can run it, or its Space is paused
    paused: bool = False  #: its Space is: its queue is that of the Space alone


class Outlook:
    """Answers from the latest forecast. Safe to use from several threads; raises redis's errors."""

    def __init__(self, redis: Redis, scripts: Scripts, keys: Keys, fresh: float = FRESH) -> None:
        self._redis = redis
        self._scripts = scripts
        self._keys = keys
        self._fresh = fresh
        self._lock = threading.Lock()
        self._latest = Forecast(())
        self._read_at = -fresh

    def place(self, task: str) -> Place | None:
        """The place of a task; None if it does not wait."""
        return self.places([task])[0]

    def places(self, tasks: Sequence[str]) -> list[Place | None]:
        """The places of tasks; None for each that does not wait. One request for up to ASKED of them."""
        found: list[Any] = []  # Any: what places.lua answers
        for start in range(0, len(tasks), ASKED):
            found += self._scripts.run("places", self._keys.arrivals(), *tasks[start : start + ASKED])
        return [self._place(*cast(tuple[int, int, bytes, int], tuple(each))) if each else None for each in found]

    def _place(self, ahead: int, waiting: int, size: bytes, paused: int) -> Place:
        if paused:
            return Place(ahead, waiting, None, paused=True)
        return Place(ahead, waiting, self.forecast().of(size.decode()).wait(ahead))

    def forecast(self) -> Forecast:
        """The latest forecast, at most two seconds old."""
        with self._lock:
            if time.monotonic() - self._read_at >= self._fresh:
                self._latest = self._shared() or self._made()
                self._read_at = time.monotonic()
            return self._latest

    def _shared(self) -> Forecast | None:
        packed = cast(bytes | None, self._redis.get(self._keys.forecast()))
        try:
            return None if packed is None else wire.unpack_as(Forecast, packed)
        except wire.BadMessage:  # written by another version
            return None

    def _made(self) -> Forecast:
        made = forecast(*_survey(self._scripts.run("survey", self._keys.workers(), HEAD, SAMPLES)))
        self._redis.set(self._keys.forecast(), wire.pack(made), px=math.ceil(self._fresh * 1000))
        return made


def _survey(packed: Any) -> tuple[list[Line], list[Server]]:  # Any: the answer of survey.lua
    queues, workers = msgpack.unpackb(packed)
    lines = [Line(size, depth, tuple(Waiting(*task) for task in tasks)) for size, depth, tasks in queues]
    return lines, [Server(tuple(sizes), tuple(InHand(*task) for task in tasks)) for sizes, tasks in workers]
