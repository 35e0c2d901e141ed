"""The orders that the benchmark compares: first-come, Celery's buckets, shortest-first, and the farm's own."""

from __future__ import annotations

import math
from bisect import bisect
from collections import defaultdict
from collections.abc import Sequence
from typing import Self

from kombu.transport.redis import PRIORITY_STEPS

from benchmarks.order.simulator import Rank
from benchmarks.order.traces import Request
from spaces.farm.queue.estimates import NOTHING, EstimateRules, Learned, estimate, handicap, step, update

#: The steps of kombu's Redis transport as it comes, and the most that it can have: it cuts priorities at 9.
CELERY_4 = tuple(PRIORITY_STEPS)
CELERY_10 = tuple(range(10))

#: The longest duration that real Spaces declare, and so the top of the ten priorities.
LONGEST = 1500.0


class FirstCome:
    """In the order of arrival."""

    def rank(self, request: Request) -> Rank:
        """All alike."""
        return ()

    def ended(self, request: Request) -> None:
        """Nothing is learned."""


class Buckets(FirstCome):
    """Celery on Redis: a list for each step of priority, first-come in each, the lists served strictly in order.

    The priority is the logarithm of the declared duration, which tells the usual ones apart better than the duration.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        self.steps = steps

    def rank(self, request: Request) -> Rank:
        """The list that kombu puts it in."""
        return (bucket(request.declared, self.steps),)


def bucket(seconds: float, steps: Sequence[int]) -> int:
    """The step of a duration: priorities 0 to 9, each floored to a step as kombu does."""
    priority = int(10 * math.log(max(seconds, 1.0)) / math.log(LONGEST))
    return steps[bisect(steps, min(priority, 9)) - 1]


class Estimates:
    """The estimates that a farm learns while a trace runs."""

    def __init__(self, rules: EstimateRules | None = None) -> None:
        self.rules = rules or EstimateRules()
        self.learned: dict[tuple[int, int], Learned] = defaultdict(lambda: NOTHING)

    def copy(self) -> Self:
        """A copy of the same knowledge, to continue from more than once."""
        copy = type(self)(self.rules)
        copy.learned.update(self.learned)
        return copy

    def of(self, request: Request) -> float:
        """Expected seconds of a request that arrives now."""
        return estimate(self.learned[request.function, step(request.declared)], request.declared, self.rules)

    def learn(self, request: Request) -> None:
        """A request has ended."""
        key = request.function, step(request.declared)
        self.learned[key] = update(self.learned[key], request.seconds, self.rules)


class Declared(Estimates):
    """A farm that believes what functions declare and learns nothing."""

    def learn(self, request: Request) -> None:
        """Nothing."""


class ShortestFirst:
    """The shortest estimate first, however long the others have waited."""

    def __init__(self, estimates: Estimates | None = None) -> None:
        self.estimates = estimates or Estimates()

    def rank(self, request: Request) -> Rank:
        """Its estimate alone."""
        return (self.estimates.of(request),)

    def ended(self, request: Request) -> None:
        """Its estimate is learned."""
        self.estimates.learn(request)


class Aged(ShortestFirst):
    """The farm's own: the time of arrival, and on it the handicap of the estimate."""

    def __init__(self, gpus: int, estimates: Estimates | None = None) -> None:
        super().__init__(estimates)
        self.gpus = gpus

    def rank(self, request: Request) -> Rank:
        """The moment from which nothing that arrives can overtake it."""
        return (request.at + self.handicap(request),)

    def handicap(self, request: Request) -> float:
        """The seconds for which others may overtake a request that arrives now."""
        return handicap(self.estimates.of(request), self.gpus, self.estimates.rules)
