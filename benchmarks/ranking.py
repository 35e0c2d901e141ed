"""Whom does the order of the queue serve, and whom does it keep waiting? `python -m benchmarks.ranking`

First on paper: the same requests in five orders. Then in the real broker: whether it keeps the order exactly, and
whether a real queue makes its tasks wait as long as the simulated one says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.order import inversions, real_queue
from benchmarks.order.policies import CELERY_4, CELERY_10, Aged, Buckets, Declared, Estimates, FirstCome, ShortestFirst
from benchmarks.order.simulator import Policy, Rank, waits_of
from benchmarks.order.traces import LOADS, Request, make_trace
from spaces.farm.connection import connect
from spaces_workers.broker.find import find_broker

GPUS = 4
COUNT = 20_000
SEEDS = range(1, 7)
BUDGET = 0.5

#: Requests of the simulated past and of the real run, which takes half a minute, in a trace that keeps the GPUs busy.
LEARNED, MEASURED, REAL_SEED = 10_000, 300, 4


@dataclass(frozen=True, slots=True)
class Waits:
    """A summary of the waits of one trace in one order, in seconds."""

    mean: float
    p95: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Waits:
        """Of the wait of each task."""
        ordered = sorted(seconds)
        return cls(fmean(ordered), ordered[int(0.95 * len(ordered))], ordered[-1])


class Ours(Aged):
    """The farm's order, which also keeps account of the handicaps that it gave."""

    def __init__(self, gpus: int) -> None:
        super().__init__(gpus)
        self.handicaps: list[float] = []

    def rank(self, request: Request) -> Rank:
        """As the farm ranks it."""
        rank = super().rank(request)
        self.handicaps.append(rank[0] - request.at)
        return rank


def main() -> None:
    """A table and a verdict for each load, and the real broker."""
    for name, load in LOADS.items():
        _compare(name, load)
        _judge(name, load)
    _hold_against_reality(LOADS["full"])


def _compare(name: str, load: float) -> None:
    trace = make_trace(load, COUNT, SEEDS[0], GPUS)
    print(f"{name}: {COUNT} requests in {trace[-1].at / 3600:.1f} h, load {load:g} of {GPUS} GPUs; waits in seconds")
    print(f"  {'':34} {'mean':>8} {'p95':>8} {'longest':>8}   beside first-come")
    first = Waits.of(waits_of(trace, FirstCome(), GPUS))
    for label, policy in _policies().items():
        waits = Waits.of(waits_of(trace, policy, GPUS))
        ratios = f"{waits.mean / first.mean:5.2f} {waits.p95 / first.p95:5.2f} {waits.longest / first.longest:5.2f}"
        print(f"  {label:34} {waits.mean:8.1f} {waits.p95:8.1f} {waits.longest:8.1f}   {ratios}")


def _policies() -> dict[str, Policy]:
    return {
        "first-come": FirstCome(),
        "Celery, 4 steps of priority": Buckets(CELERY_4),
        "Celery, 10 steps of priority": Buckets(CELERY_10),
        "shortest-first, no aging": ShortestFirst(),
        "ours, declared durations only": Aged(GPUS, Declared()),
        "ours": Aged(GPUS),
    }


def _judge(name: str, load: float) -> None:
    """Check the promises on every seed: half the mean wait, and no wait longer than first-come's plus the handicap."""
    ratios, spare = [], []
    for seed in SEEDS:
        trace = make_trace(load, COUNT, seed, GPUS)
        first, policy = Waits.of(waits_of(trace, FirstCome(), GPUS)), Ours(GPUS)
        waits = waits_of(trace, policy, GPUS)
        ratios.append(fmean(waits) / first.mean)
        spare.append(first.longest - max(wait - own for wait, own in zip(waits, policy.handicaps, strict=True)))
    budget = f" ({_verdict(max(ratios) <= BUDGET)} the budget of {BUDGET:g})" if name == "full" else ""
    print(f"  ours, {len(SEEDS)} seeds: mean wait {fmean(ratios):.2f} of first-come's, worst {max(ratios):.2f}{budget}")
    print(
        f"  longest wait: {min(spare):.0f} s less than first-come's and the own handicap ({_verdict(min(spare) >= 0)})"
    )


def _verdict(kept: bool) -> str:
    return "within" if kept else "OVER"


def _hold_against_reality(load: float) -> None:
    """The last requests of a trace in a real broker, with the estimates that the ones before have taught."""
    trace = make_trace(load, LEARNED + MEASURED, REAL_SEED, GPUS)
    estimates = Estimates()
    waits_of(trace[:LEARNED], Aged(GPUS, estimates), GPUS)
    with tempfile.TemporaryDirectory() as folder, find_broker(Path(folder)) as broker, connect(broker.url) as redis:
        inversions.report(redis, trace[LEARNED:], estimates)
        real_queue.report(redis, trace[LEARNED:], estimates, GPUS)


if __name__ == "__main__":
    main()
