"""The counters of a farm, read from its broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from spaces.farm.queue.counters.bounds import BOUNDS
from spaces.farm.queue.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

#: Microseconds in a second: the scripts add whole numbers, which are exact.
_MICRO = 1e6


class Span(StrEnum):
    """The parts of a task's time."""

    WAIT = "wait"  #: from its arrival until a worker took it
    SWAP = "swap"  #: then, until a child of its Space was ready
    RUN = "run"  #: of its function
    OVERHEAD = "overhead"  #: all the rest until its end


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many tasks had a span in each bucket of BOUNDS, in a last one above all, and the sum in seconds."""

    counts: tuple[int, ...]
    sum: float

    def __sub__(self, earlier: Histogram) -> Histogram:
        counts = (max(0, now - before) for now, before in zip(self.counts, earlier.counts, strict=True))
        return Histogram(tuple(counts), max(0.0, self.sum - earlier.sum))

    def quantile(self, share: float) -> float | None:
        """The span that this share of tasks did not exceed, as linear within its bucket; None without tasks."""
        wanted, below, lower = share * sum(self.counts), 0, 0.0
        if not wanted:
            return None
        for count, bound in zip(self.counts, BOUNDS, strict=False):
            if count and below + count >= wanted:
                return lower + (bound - lower) * (wanted - below) / count
            below, lower = below + count, bound
        return BOUNDS[-1]


@dataclass(frozen=True, slots=True)
class SpaceCounts:
    """The ends of the tasks of one Space, since it is known."""

    ended: Mapping[str, int]  #: by final state
    stopped: Mapping[str, int]  #: by `causes.Cause`
    retried: Mapping[str, int]  #: by `causes.Retry`
    spans: Mapping[Span, Histogram]


@dataclass(frozen=True, slots=True)
class WorkerTally:
    """The work of a worker, over its restarts."""

    busy_seconds: float
    evicted: Mapping[str, int]  #: by what became of the child


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of a farm at one moment."""

    spaces: Mapping[str, SpaceCounts]
    workers: Mapping[str, WorkerTally]  #: by name in Celery
    expired_leases: Mapping[str, int] = field(default_factory=dict)  #: by kind: `worker`, `client`


def read_counters(redis: Redis, keys: Keys, spaces: Sequence[str], nodes: Sequence[str]) -> Counters:
    """The counters of these Spaces and workers. Raises redis's errors."""
    with redis.pipeline(transaction=False) as pipe:
        for name in (*map(keys.counts, spaces), *map(keys.tally, nodes), keys.counts("")):
            pipe.hgetall(name)
        found = [_numbers(each) for each in cast(list[dict[bytes, bytes]], pipe.execute())]
    of_spaces, of_nodes = found[: len(spaces)], found[len(spaces) : -1]
    return Counters(
        {name: _of_space(fields) for name, fields in zip(spaces, of_spaces, strict=True)},
        {name: _of_worker(fields) for name, fields in zip(nodes, of_nodes, strict=True)},
        found[-1],
    )


def _of_space(fields: Mapping[str, int]) -> SpaceCounts:
    return SpaceCounts(
        _below("ended", fields),
        _below("stopped", fields),
        _below("retried", fields),
        {span: _histogram(_below(span, fields)) for span in Span},
    )


def _of_worker(fields: Mapping[str, int]) -> WorkerTally:
    return WorkerTally(fields.get("busy us", 0) / _MICRO, _below("evicted", fields))


def _histogram(fields: Mapping[str, int]) -> Histogram:
    buckets = (fields.get(str(place + 1), 0) for place in range(len(BOUNDS) + 1))
    return Histogram(tuple(buckets), fields.get("us", 0) / _MICRO)


def _below(prefix: str, fields: Mapping[str, int]) -> dict[str, int]:
    """The fields that begin with this word, without it."""
    return {name[len(prefix) + 1 :]: number for name, number in fields.items() if name.startswith(f"{prefix} ")}


def _numbers(fields: Mapping[bytes, bytes]) -> dict[str, int]:
    return {name.decode(): int(number) for name, number in fields.items()}


def sum_of(histograms: Iterable[Histogram]) -> Histogram:
    """All together."""
    counts, total = [0] * (len(BOUNDS) + 1), 0.0
    for each in histograms:
        counts = [a + b for a, b in zip(counts, each.counts, strict=True)]
        total += each.sum
    return Histogram(tuple(counts), total)
