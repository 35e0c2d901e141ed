"""Which rule of learning, which weight, cap and floor? The tables of `docs/ranking.md`.

`python -m benchmarks.ranking_sweep`; each row is the mean over the seeds, the worst seed in brackets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from statistics import fmean, median

from benchmarks.order.estimators import Quantile, RealMeans, RealSeconds, SummedMean
from benchmarks.order.policies import Aged, Declared, Estimates, FirstCome, ShortestFirst
from benchmarks.order.simulator import Policy, waits_of
from benchmarks.order.traces import LOADS, Request, make_trace
from spaces.farm.queue.estimates import DEFAULT, EstimateRules

GPUS = 4
COUNT = 10_000
SEEDS = range(1, 7)


@dataclass(frozen=True)
class Day:
    """A trace at load 0.9, and how it goes first-come."""

    gpus: int
    seed: int

    @cached_property
    def trace(self) -> list[Request]:
        return make_trace(LOADS["full"], COUNT, self.seed, self.gpus)

    @cached_property
    def first_come(self) -> list[float]:
        return waits_of(self.trace, FirstCome(), self.gpus)

    def ratios(self, policy: Policy) -> tuple[float, float]:
        """Mean and longest wait beside first-come's."""
        waits = waits_of(self.trace, policy, self.gpus)
        return fmean(waits) / fmean(self.first_come), max(waits) / max(self.first_come)


class Recorded(ShortestFirst):
    """Shortest-first, where the order depends on the estimates alone, keeping the estimates that it was given."""

    def __init__(self, estimates: Estimates) -> None:
        super().__init__(estimates)
        self.given: list[float] = []

    def rank(self, request: Request) -> tuple[float, ...]:
        rank = super().rank(request)
        self.given.append(rank[0])
        return rank


def main() -> None:
    """The sweep of the learning rules first, then of the rank."""
    days = [Day(GPUS, seed) for seed in SEEDS]
    _learning(days)
    print("\n| weight, shared by 4 GPUs | cap | mean wait | longest wait |\n|---|---|---|---|")
    for weight, cap in product((40.0, 80.0, 100.0, 120.0, 160.0, 240.0), (60.0, 80.0, 120.0, 180.0, 300.0)):
        _aged(f"{weight:g} | {cap:g}", days, replace(DEFAULT, weight=weight, cap=cap))
    print("\n| floor | mean wait | longest wait |\n|---|---|---|")
    for floor in (0.0, 1.0, 5.0, 10.0):
        _aged(f"{floor:g}", days, replace(DEFAULT, floor=floor))
    print("\n| GPUs | weight of each second | mean wait | longest wait |\n|---|---|---|---|")
    for gpus in (1, 2, 4, 8, 16):
        for share in sorted({DEFAULT.weight / gpus, DEFAULT.weight / GPUS}):
            rules = replace(DEFAULT, weight=share * gpus)
            _aged(f"{gpus} | {share:g}", [Day(gpus, seed) for seed in SEEDS], rules)


def _learning(days: list[Day]) -> None:
    rules: dict[str, Callable[[list[Request]], Estimates]] = {
        "the real seconds (unknowable)": lambda _: RealSeconds(),
        "the real mean of each function (unknowable)": RealMeans,
        "declared": lambda _: Declared(),
        "ours: mean, blended by logarithms": lambda _: Estimates(),
        "ours, doubt 0.5": lambda _: Estimates(EstimateRules(doubt=0.5)),
        "ours, doubt 4": lambda _: Estimates(EstimateRules(doubt=4.0)),
        "ours, memory 5": lambda _: Estimates(EstimateRules(memory=5)),
        "ours, memory 200": lambda _: Estimates(EstimateRules(memory=200)),
        "mean, blended by sums": lambda _: SummedMean(),
        "median of the last 20": lambda _: Quantile(0.5),
        "third quartile of the last 20": lambda _: Quantile(0.75),
        "9 in 10 of the last 20": lambda _: Quantile(0.9),
    }
    print("| estimate | mean wait, shortest-first | all estimates beside all runs | median error |\n|---|---|---|---|")
    for name, make in rules.items():
        _estimates(name, days, make)


def _estimates(name: str, days: Iterable[Day], make: Callable[[list[Request]], Estimates]) -> None:
    ratios, biases, errors = [], [], []
    for day in days:
        policy = Recorded(make(day.trace))
        ratios.append(day.ratios(policy)[0])
        real = [request.seconds for request in day.trace]
        biases.append(sum(policy.given) / sum(real))
        errors.append(median(abs(given / true - 1) for given, true in zip(policy.given, real, strict=True)))
    print(f"| {name} | {fmean(ratios):.3f} ({max(ratios):.3f}) | {fmean(biases):.2f} | {fmean(errors):.0%} |")


def _aged(name: str, days: Iterable[Day], rules: EstimateRules) -> None:
    means, longest = zip(*(day.ratios(Aged(day.gpus, Estimates(rules))) for day in days), strict=True)
    print(f"| {name} | {fmean(means):.2f} ({max(means):.2f}) | {fmean(longest):.2f} ({max(longest):.2f}) |")


if __name__ == "__main__":
    main()
