"""Whom does the order of the queue serve, and whom does it keep waiting? `python -m benchmarks.ranking`

First on paper: the same requests in five orders. Then in the real broker: whether it keeps the order exactly, and
whether a real queue makes its tasks wait as long as the simulated one says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks import real_queue
from benchmarks.policies import CELERY_4, CELERY_10, Aged, Buckets, Declared, FirstCome, ShortestFirst
from benchmarks.simulator import Policy, Rank, waits_of
from benchmarks.traces import LOADS, Request, make_trace

GPUS = 4
COUNT = 20_000
SEEDS = range(1, 7)
BUDGET = 0.5


@dataclass(frozen=True, slots=True)
class Waits:
    """What the waits of one trace in one order come to, in seconds."""

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
    """A table for each load, the verdict over several seeds, and the real broker."""
    for name, load in LOADS.items():
        _compare(name, load)
    _judge(LOADS["full"])
    real_queue.main()


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


def _judge(load: float) -> None:
    """The two promises, on every seed: half the mean wait, and nobody waits beyond first-come and the own handicap."""
    ratios, beyond = [], []
    for seed in SEEDS:
        trace = make_trace(load, COUNT, seed, GPUS)
        first, policy = Waits.of(waits_of(trace, FirstCome(), GPUS)), Ours(GPUS)
        waits = waits_of(trace, policy, GPUS)
        ratios.append(fmean(waits) / first.mean)
        pairs = zip(waits, policy.handicaps, strict=True)
        beyond.append(max(wait - handicap for wait, handicap in pairs) - first.longest)
    verdict = "within" if max(ratios) <= BUDGET else "OVER"
    print(
        f"load {load:g}, {len(SEEDS)} seeds: mean wait {fmean(ratios):.2f} of first-come's, {max(ratios):.2f} in the worst "
        f"({verdict} the budget of {BUDGET:g})"
    )
    verdict = "within" if max(beyond) <= 0 else "OVER"
    print(f"longest wait less the own handicap: {-max(beyond):.0f} s under first-come's longest at least ({verdict})")


if __name__ == "__main__":
    main()
