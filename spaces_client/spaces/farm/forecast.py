"""When what waits will begin: the farm's next minutes, played through with what each task is expected to take.

The workers take what waits in the order of the rank, each only sizes that it serves. Of a long queue the head is known
task by task and the rest by samples, each of which stands for its neighbours, so the cost does not grow with the queue.
Tasks that are not pushed yet are left out, though some will overtake; that runs tend to end before their estimates
about makes up for it (`benchmarks/waiting.py` has the error).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spaces.farm.wire import message

#: The part of the time that a task has run already which it is taken to need still, once that is more than its
#: estimate says: who has run for long will run for long. Source: least error in the simulator, of 0.2, 0.5 and 1.
OVERDUE = 0.2


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting task of a survey; in a long queue also its neighbours."""

    place: int  #: tasks ahead of it in its queue
    score: float
    estimate: float


@dataclass(frozen=True, slots=True)
class Line:
    """The queue of one size."""

    size: str
    depth: int
    tasks: tuple[Waiting, ...]  #: by place; all of them, or samples


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
    workers: int  #: live ones that serve this size
    places: tuple[float, ...]  #: from the first to the one after the last
    seconds: tuple[float, ...]  #: from now until the task at that place begins

    def wait(self, place: int) -> float | None:
        """Expected seconds until a task with so many ahead begins; None while no worker serves its size."""
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
    """When what waits begins, by size."""

    lines: tuple[LineForecast, ...]

    def of(self, size: str) -> LineForecast:
        """The queue of one size."""
        return next(line for line in self.lines if line.size == size)


def forecast(lines: Sequence[Line], servers: Sequence[Server]) -> Forecast:
    """Play it through."""
    begins: dict[str, list[tuple[float, float]]] = defaultdict(list)
    queues = {line.size: _parts(line, _serving(line.size, servers)) for line in lines}
    heads = {size: next(parts, None) for size, parts in queues.items()}
    free = [(sum(task.left for task in server.in_hand), number) for number, server in enumerate(servers)]
    heapq.heapify(free)
    ends: dict[str, float] = {}
    while free:
        now, number = heapq.heappop(free)
        sizes = servers[number].sizes
        ready = [(head.score, size) for size in sizes if (head := heads.get(size)) is not None]
        for size in sizes:
            if heads.get(size) is None:
                ends.setdefault(size, now)
        if ready:
            _, size = min(ready)
            head = heads[size]
            assert head is not None, "it is ready"
            begins[size].append((head.place, now))
            heapq.heappush(free, (now + head.estimate, number))
            heads[size] = next(queues[size], None)
    return Forecast(tuple(_line(line, begins[line.size], ends.get(line.size, 0.0), servers) for line in lines))


@dataclass(frozen=True, slots=True)
class _Part:
    """Tasks that one worker runs one after the other."""

    place: float
    score: float
    estimate: float  #: of all of them


def _parts(line: Line, workers: int) -> Iterator[_Part]:
    """The tasks of a queue in order; those that a sample stands for, in as many parts as workers can run at once."""
    places = [task.place for task in line.tasks]
    for number, task in enumerate(line.tasks):
        first = 0 if number == 0 else (places[number - 1] + places[number] + 1) / 2
        last = line.depth if number == len(places) - 1 else (places[number] + places[number + 1] + 1) / 2
        count = last - first
        parts = max(1, min(round(count), workers))
        for part in range(parts):
            yield _Part(first + part * count / parts, task.score, task.estimate * count / parts)


def _serving(size: str, servers: Sequence[Server]) -> int:
    return sum(size in server.sizes for server in servers)


def _line(line: Line, begins: list[tuple[float, float]], end: float, servers: Sequence[Server]) -> LineForecast:
    known = [*begins, (float(line.depth), end)]
    return LineForecast(
        line.size,
        _serving(line.size, servers),
        tuple(place for place, _ in known),
        tuple(seconds for _, seconds in known),
    )
