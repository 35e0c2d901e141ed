"""How the farm was in the last day: samples that a home page takes, kept in the broker over restarts.

Counters in a sample are totals; the difference of two samples tells what happened between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

import msgpack
from redis.exceptions import ResponseError

from spaces.farm.queue.counters.counters import Counters, Histogram, Span, sum_of
from spaces.farm.queue.keys import COUNTED, Keys
from spaces.farm.task import FAILURES

if TYPE_CHECKING:
    from redis import Redis

#: Seconds between two samples, and how many are kept: those of a day.
INTERVAL = 30
KEPT = 24 * 3600 // INTERVAL


@dataclass(frozen=True, slots=True)
class Sample:
    """The farm at one moment."""

    waiting: int
    running: int
    ended: int
    failed: int
    wait_counts: tuple[int, ...]
    wait_sum: float
    busy_seconds: Mapping[str, float]  #: by worker
    at: float = 0.0

    @property
    def wait(self) -> Histogram:
        """How long all tasks so far have waited."""
        return Histogram(self.wait_counts, self.wait_sum)


def sample_of(counters: Counters, waiting: int, running: int) -> Sample:
    """The sample of this moment."""
    wait = sum_of(each.spans[Span.WAIT] for each in counters.spaces.values())
    ended = [each.ended for each in counters.spaces.values()]
    return Sample(
        waiting=waiting,
        running=running,
        ended=sum(sum(each.values()) for each in ended),
        failed=sum(each.get(state, 0) for each in ended for state in FAILURES),
        wait_counts=wait.counts,
        wait_sum=wait.sum,
        busy_seconds={node: tally.busy_seconds for node, tally in counters.workers.items()},
    )


def keep_sample(redis: Redis, keys: Keys, sample: Sample) -> None:
    """Add a sample, unless another home page has added one in this interval. Raises redis's errors."""
    seconds, _ = redis.time()
    packed = msgpack.packb(asdict(sample))
    with suppress(ResponseError):  # there is an entry with this id
        entry = f"{seconds // INTERVAL * INTERVAL * 1000}-1"
        redis.xadd(keys.samples(), {"s": packed}, id=entry, maxlen=KEPT, approximate=True)
    redis.expire(keys.samples(), COUNTED)


def read_samples(redis: Redis, keys: Keys, seconds: float) -> list[Sample]:
    """The samples of so many last seconds, the oldest first. Raises redis's errors."""
    now, _ = redis.time()
    first = f"{int((now - seconds) * 1000)}-0"
    found = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrange(keys.samples(), min=first))
    return [_sample(entry, fields[b"s"]) for entry, fields in found]


def _sample(entry: bytes, packed: bytes) -> Sample:
    fields = msgpack.unpackb(packed)
    fields["wait_counts"] = tuple(fields["wait_counts"])
    return Sample(**fields | {"at": int(entry.partition(b"-")[0]) / 1000})
