"""How much should a second of swapping weigh in the rank? `python -m benchmarks.warmth_weight`, 10 s

The simulator's farm, with swaps: four GPUs keep four Spaces each. A second of swapping counts in the claim as one
second, as in the farm, as none, or as a second that is run, whose weight is 120 / GPUs.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from math import inf
from statistics import mean

from benchmarks.policies import Aged
from benchmarks.traces import LOADS, Request, make_trace

GPUS, WARM, COUNT, SEEDS = 4, 4, 6000, (1, 2, 3)
SPACES_PER_FUNCTION = 175 / 282
WEIGHTS = {"nothing": 0.0, "one second": 1.0, "a second that is run": 120.0 / GPUS}


class Swapping:
    """A farm on paper whose GPUs each keep the Spaces that they served last."""

    def __init__(self, trace: list[Request], swap: float, weight: float) -> None:
        self.trace, self.swap, self.weight = trace, swap, weight
        self.policy = Aged(GPUS)
        self.waiting: list[tuple[float, int]] = []
        self.running: list[tuple[float, int, int]] = []  # by the time of the end: task, GPU
        self.idle = set(range(GPUS))
        self.warm: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(GPUS)]
        self.waits: list[float] = []

    def run(self) -> list[float]:
        """The seconds that each task waits before it computes, its swap included."""
        for number, request in enumerate(self.trace):
            self._until(request.at)
            self.waiting.append((self.policy.rank(request)[0], number))
            if self.idle:
                warm = [gpu for gpu in self.idle if _space(request) in self.warm[gpu]]
                self._start(warm[0] if warm else min(self.idle), request.at)
        self._until(inf)
        return self.waits

    def _until(self, time: float) -> None:
        while self.running and self.running[0][0] <= time:
            now, number, gpu = heappop(self.running)
            self.policy.ended(self.trace[number])
            self.idle.add(gpu)
            if self.waiting:
                self._start(gpu, now)

    def _start(self, gpu: int, now: float) -> None:
        chosen = min(self.waiting, key=lambda task: task[0] + self.weight * self._cost(gpu, task[1]))
        self.waiting.remove(chosen)
        self.idle.discard(gpu)
        number, cost = chosen[1], self._cost(gpu, chosen[1])
        self.warm[gpu][_space(self.trace[number])] = None
        self.warm[gpu].move_to_end(_space(self.trace[number]))
        if len(self.warm[gpu]) > WARM:
            self.warm[gpu].popitem(last=False)
        self.waits.append(now + cost - self.trace[number].at)
        heappush(self.running, (now + cost + self.trace[number].seconds, number, gpu))

    def _cost(self, gpu: int, number: int) -> float:
        return 0.0 if _space(self.trace[number]) in self.warm[gpu] else self.swap


def _space(request: Request) -> int:
    return int(request.function * SPACES_PER_FUNCTION)


def main() -> None:
    """A line for each price of a swap: the mean wait with each weight."""
    traces = [make_trace(LOADS["full"], COUNT, seed, GPUS) for seed in SEEDS]
    for swap in (1.0, 3.0, 10.0):
        means = {
            name: mean(mean(Swapping(trace, swap, weight).run()) for trace in traces)
            for name, weight in WEIGHTS.items()
        }
        waits = ", ".join(f"{name} {wait:.0f} s" for name, wait in means.items())
        print(f"a swap takes {swap:g} s: mean wait where it counts as {waits}")


if __name__ == "__main__":
    main()
