"""The charts of the operator's page: points of the last hour or day, from the farm's samples."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from spaces.farm.queue.counters.samples import Sample

#: Points of a chart, about one for each four pixels of a phone.
POINTS = 90


@dataclass(frozen=True, slots=True)
class Point:
    """The events since the point before."""

    at: float
    waiting: int  #: tasks, at that time
    wait_p50: float | None  #: seconds; None if no task began
    wait_p95: float | None
    busy: float  #: the share of the workers' time in which they had tasks
    failed: int
    ended: int


def points(samples: Sequence[Sample]) -> list[Point]:
    """At most POINTS of these samples, evenly."""
    step = max(1, -(-(len(samples) - 1) // POINTS))
    kept = list(samples)[::-1][::step][::-1]
    return [_point(before, now) for before, now in itertools.pairwise(kept)]


def _point(before: Sample, now: Sample) -> Point:
    wait = now.wait - before.wait
    span = max(1.0, now.at - before.at)
    workers = now.busy_seconds
    busy = sum(max(0.0, seconds - before.busy_seconds.get(node, seconds)) for node, seconds in workers.items())
    return Point(
        at=now.at,
        waiting=now.waiting,
        wait_p50=wait.quantile(0.5),
        wait_p95=wait.quantile(0.95),
        busy=min(1.0, busy / span / max(1, len(workers))),
        failed=max(0, now.failed - before.failed),
        ended=max(0, now.ended - before.ended),
    )
