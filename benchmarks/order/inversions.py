"""How many pairs of tasks does a queue hand out in the wrong order? Called by `benchmarks.ranking`.

The right order is that of the rank: time of arrival plus the handicap of the estimate. Ours is what a real broker hands
out; first-come and Celery's buckets are computed for the same arrivals by the rules of their transport.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from math import inf

from redis import Redis

from benchmarks.order.policies import CELERY_4, CELERY_10, Estimates, bucket
from benchmarks.order.traces import Request
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.estimates import EstimateRules
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, Task

#: Seconds of rank for each second of estimate. All tasks arrive within a fraction of a second: with the first weight
#: the handicaps are about as long, as on a busy farm; with the second the estimates alone decide.
WEIGHTS = {"handicaps as long as the arrivals": 0.002, "all at once": 30.0}


def inverted_pairs(ranks: Iterable[float]) -> int:
    """Pairs of which the one with the higher rank comes first."""
    seen: list[float] = []
    count = 0
    for rank in ranks:
        count += len(seen) - bisect_right(seen, rank)
        insort(seen, rank)
    return count


def report(redis: Redis, trace: Sequence[Request], estimates: Estimates) -> None:
    """One line for each weight: how many pairs each order inverts when all of the trace waits."""
    expected = [estimates.of(request) for request in trace]
    pairs = len(trace) * (len(trace) - 1) // 2
    for name, weight in WEIGHTS.items():
        queue = Queue(redis, Keys(f"{{inversions{weight:g}}}"), Rules(_rank(weight)))
        counts = _inverted(queue, trace, expected)
        shares = ", ".join(f"{order} {count} ({count / pairs:.0%})" for order, count in counts.items())
        print(f"inverted pairs of {pairs}, {name}: {shares}")


def _rank(weight: float) -> EstimateRules:
    return EstimateRules(weight=weight, floor=0.0, cap=inf)


def _inverted(queue: Queue, trace: Sequence[Request], expected: Sequence[float]) -> dict[str, int]:
    tasks = [_pushed(queue, seconds) for seconds in expected]
    handed_out = [tasks.index(task) for task in _claimed(queue)]
    weight = queue.rules.rank.weight
    ranks = [_arrival(queue, task) + weight * estimate for task, estimate in zip(tasks, expected, strict=True)]
    arrived = range(len(tasks))
    orders = {
        "ours": handed_out,
        "Celery's 4 steps": sorted(arrived, key=lambda number: bucket(trace[number].declared, CELERY_4)),
        "Celery's 10 steps": sorted(arrived, key=lambda number: bucket(trace[number].declared, CELERY_10)),
        "first-come": arrived,
    }
    return {name: inverted_pairs(ranks[number] for number in order) for name, order in orders.items()}


def _pushed(queue: Queue, seconds: float) -> str:
    task = Task("inversions", FunctionName("__main__", "generate"), Payload(b""), estimate=seconds)
    queue.push(task, b"")
    return task.id


def _claimed(queue: Queue) -> list[str]:
    """All tasks, in the order in which a worker gets them."""
    order = []
    while claimed := queue.claim("worker", [Size.LARGE]):
        order.append(claimed.lease.task.id)
    return order


def _arrival(queue: Queue, task: str) -> float:
    state = queue.state(task)
    assert state is not None, "the broker forgot a task"
    return state.enqueued_at
