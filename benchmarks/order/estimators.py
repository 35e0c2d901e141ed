"""Other ways to learn how long a function takes, to compare the farm's with. Used by `benchmarks.ranking_sweep`."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable

from benchmarks.order.policies import Estimates
from benchmarks.order.traces import Request
from spaces.farm.queue.estimates import step

#: Runs that a quantile is taken of.
RECENT = 20


class RealSeconds(Estimates):
    """An ideal that no farm can have: knows the duration of each run."""

    def of(self, request: Request) -> float:
        """The truth."""
        return request.seconds


class RealMeans(Estimates):
    """An ideal that no farm can have: knows from the start the mean duration of each function over the trace."""

    def __init__(self, trace: Iterable[Request]) -> None:
        super().__init__()
        runs, seconds = Counter[tuple[int, float]](), defaultdict[tuple[int, float], float](float)
        for request in trace:
            runs[request.function, request.declared] += 1
            seconds[request.function, request.declared] += request.seconds
        self.means = {key: total / runs[key] for key, total in seconds.items()}

    def of(self, request: Request) -> float:
        """The mean of its function."""
        return self.means[request.function, request.declared]


class SummedMean(Estimates):
    """The mean and the declaration blended by themselves instead of by their logarithms."""

    def of(self, request: Request) -> float:
        """The declaration counts for as many runs as the rules doubt."""
        learned = self.learned[request.function, step(request.declared)]
        total = self.rules.doubt * request.declared + learned.count * learned.mean
        return total / (self.rules.doubt + learned.count)


class Quantile(Estimates):
    """A quantile of the latest runs, blended with the declaration by logarithms."""

    def __init__(self, quantile: float) -> None:
        super().__init__()
        self.quantile = quantile
        self.recent: dict[tuple[int, float], deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))

    def of(self, request: Request) -> float:
        """Near the quantile soon."""
        runs = sorted(self.recent[request.function, request.declared])
        if not runs:
            return request.declared
        found = runs[min(int(self.quantile * len(runs)), len(runs) - 1)]
        return request.declared * math.pow(found / request.declared, len(runs) / (len(runs) + self.rules.doubt))

    def learn(self, request: Request) -> None:
        """The oldest run is forgotten."""
        self.recent[request.function, request.declared].append(request.seconds)
