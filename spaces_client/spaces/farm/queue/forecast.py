"""Forecasts when queued tasks will begin, by simulating the farm's next minutes with each task's estimate.

The simulated workers take tasks in the order of the rank, each only of sizes that it serves. The head of a long queue
is known task by task and the rest by samples, each of which represents its neighbours, so the cost does not grow with
the queue. Tasks that are not pushed yet are ignored, though some will overtake; the error about cancels against runs
that end before their estimates (`benchmarks/waiting.py` measures it).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from spaces.farm.wire import message

#: A task that has run longer than its estimate suggests is assumed to need this fraction of its past time in addition.
#: Source: least error in the simulator, of 0.2, 0.5 and 1.
OVERDUE = 0.2


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued task of a survey; in a long queue it also represents its neighbours."""

    place: int  #: tasks ahead of it in its queue
    score: float
    estimate: float


@dataclass(frozen=True, slots=True)
class Line:
    """The queue of one size."""

    size: str
    depth: int
    tasks: tuple[Waiting, ...]  #: by place; all tasks, or samples


@dataclass(frozen=True, slots=True)
class InHand:
    """A task that runs."""

    elapsed: float
    estimate: float
    time_limit: float

    @property
    def left(self) -> float:
        """Expected seconds until it ends."""
        expected = max(self.estimate - self.elapsed, OVERDUE * self.elapsed)
        return max(0.0, min(expected, self.time_limit - self.elapsed))


@dataclass(frozen=True, slots=True)
class Server:
    """A live worker."""

    sizes: tuple[str, ...]
    in_hand: tuple[InHand, ...]


@message
@dataclass(frozen=True, slots=True)
class LineForecast:
    """When the tasks of one queue begin."""

    size: str
    workers: int  #: live workers that serve this size
    places: tuple[float, ...]  #: from the first to one after the last
    seconds: tuple[float, ...]  #: from now until the task at that place begins

    def wait(self, place: int) -> float | None:
        """Expected seconds until a task with `place` tasks ahead begins; None while no worker serves its size."""
        if not self.workers:
            return None
        after = bisect_right(self.places, place)
        if after == 0 or after == len(self.places):
            return self.seconds[max(0, after - 1)]
        (left, right), (soon, late) = self.places[after - 1 : after + 1], self.seconds[after - 1 : after + 1]
        return soon + (late - soon) * (place - left) / (right - left)


@message
@dataclass(frozen=True, slots=True)
class Forecast:
    """When queued tasks begin, by size."""

    lines: tuple[LineForecast, ...]

    def of(self, size: str) -> LineForecast:
        """The forecast for the queue of one size."""
        return next(line for line in self.lines if line.size == size)


def forecast(lines: Sequence[Line], servers: Sequence[Server]) -> Forecast:
    """Simulate the farm; `lines` must have a queue, even if empty, for each size that a server serves."""
    play = _Play(lines, servers)
    free = [(sum(task.left for task in server.in_hand), number) for number, server in enumerate(servers)]
    heapq.heapify(free)
    while free:
        now, number = heapq.heappop(free)
        seconds = play.taken(now, servers[number])
        if seconds is not None:
            heapq.heappush(free, (now + seconds, number))
    return Forecast(tuple(map(play.seen, lines)))


class _Play:
    def __init__(self, lines: Sequence[Line], servers: Sequence[Server]) -> None:
        self._workers = {line.size: sum(line.size in server.sizes for server in servers) for line in lines}
        self._parts = {line.size: _parts(line, self._workers[line.size]) for line in lines}
        self._heads = {size: next(parts, None) for size, parts in self._parts.items()}
        self._begins: dict[str, list[tuple[float, float]]] = {line.size: [] for line in lines}
        self._ends: dict[str, float] = {}

    def taken(self, now: float, server: Server) -> float | None:
        """The estimate of the task that a free worker takes; None if no task is left for it."""
        ready = [(head.score, size, head) for size in server.sizes if (head := self._heads[size]) is not None]
        for size in server.sizes:
            if self._heads[size] is None:
                self._ends.setdefault(size, now)
        if not ready:
            return None
        _, size, head = min(ready, key=itemgetter(0, 1))
        self._heads[size] = next(self._parts[size], None)
        if head.place is not None:
            self._begins[size].append((head.place, now))
        return head.estimate

    def seen(self, line: Line) -> LineForecast:
        """The forecast of one queue; a task behind its end begins when a worker first finds it empty."""
        known = [*self._begins[line.size], (float(line.depth), self._ends.get(line.size, 0.0))]
        places, seconds = zip(*known, strict=True)
        return LineForecast(line.size, self._workers[line.size], places, seconds)


@dataclass(frozen=True, slots=True)
class _Part:
    """Tasks that one worker runs one after the other."""

    place: float | None  #: of its sample's first task; None for the sample's other parts, which begin beside it
    score: float
    estimate: float  #: of all its tasks together


def _parts(line: Line, workers: int) -> Iterator[_Part]:
    """The tasks of a queue in order; those that a sample represents, split into one part for each worker."""
    places = [task.place for task in line.tasks]
    for number, task in enumerate(line.tasks):
        first = 0 if number == 0 else (places[number - 1] + places[number] + 1) / 2
        last = line.depth if number == len(places) - 1 else (places[number] + places[number + 1] + 1) / 2
        count = last - first
        parts = max(1, min(round(count), workers))
        for part in range(parts):
            yield _Part(None if part else first, task.score, task.estimate * count / parts)
