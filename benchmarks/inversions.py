"""How many pairs of tasks does a queue hand out in the wrong order? Called by `benchmarks.ranking`.

The right order is that of the rank: time of arrival plus the handicap of the estimate. Ours is what a real broker hands
out; first-come and Celery's buckets are computed for the same arrivals by the rules of their transport.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence

from benchmarks.policies import CELERY_4, CELERY_10, Estimates, bucket
from benchmarks.traces import Request, make_trace
from spaces.farm.keys import Keys
from spaces.farm.payload import Payload
from spaces.farm.queue import Queue
from spaces.farm.rules import Rules
from spaces.farm.task import FunctionName, Size, Task

COUNT = 400
SEED = 1

#: Seconds of rank for each second of estimate. The tasks arrive within a second: with the first weight handicaps are as
#: long as that, with the second the estimates alone decide.
WEIGHTS = {"spread like the handicaps": 0.01, "all at once": 30.0}


def inverted_pairs(ranks: Iterable[float]) -> int:
    """Pairs of which the one with the higher rank comes first."""
    seen: list[float] = []
    count = 0
    for rank in ranks:
        count += len(seen) - bisect_right(seen, rank)
        insort(seen, rank)
    return count


def report(queue: Queue) -> None:
    """One line for each way to arrive: the share of inverted pairs in a queue of `COUNT` tasks."""
    trace = make_trace(0.9, COUNT, SEED)
    estimates = Estimates()
    expected = []
    for request in trace:
        expected.append(estimates.of(request))
        estimates.learn(request)
    for arrivals, weight in WEIGHTS.items():
        weighted = Queue(queue.redis, Keys(f"{{{arrivals}}}"), Rules(weight=weight))
        print(f"inverted pairs of {COUNT * (COUNT - 1) // 2}, {arrivals}: {_shares(weighted, trace, expected)}")


def _shares(queue: Queue, trace: Sequence[Request], expected: Sequence[float]) -> str:
    tasks = [_pushed(queue, seconds) for seconds in expected]
    order = _claimed(queue)
    arrived = [_arrival(queue, task) for task in tasks]
    rank = [at + queue.rules.weight * seconds for at, seconds in zip(arrived, expected, strict=True)]
    place = {task: number for number, task in enumerate(tasks)}
    orders = {
        "ours": [place[task] for task in order],
        "Celery 4 steps": sorted(place.values(), key=lambda number: bucket(trace[number].declared, CELERY_4)),
        "Celery 10 steps": sorted(place.values(), key=lambda number: bucket(trace[number].declared, CELERY_10)),
        "first-come": list(place.values()),
    }
    counts = {name: inverted_pairs(rank[number] for number in numbers) for name, numbers in orders.items()}
    pairs = COUNT * (COUNT - 1) / 2
    return ", ".join(f"{name} {count} ({count / pairs:.1%})" for name, count in counts.items())


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
