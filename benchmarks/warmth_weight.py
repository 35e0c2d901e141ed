"""How much should a second of swapping weigh in the rank? `python -m benchmarks.warmth_weight`, 10 s

The simulator's farm, with swaps: four GPUs keep four Spaces each. A second of swapping counts in the claim as one
second, as in the farm, as none, or as a second that is run, whose weight is 120 / GPUs.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappush
from itertools import product
from statistics import mean

from benchmarks.order.policies import Aged
from benchmarks.order.simulator import Farm, Rank
from benchmarks.order.traces import LOADS, Request, make_trace

GPUS, WARM, COUNT, SEEDS = 4, 4, 6000, (1, 2, 3)
SPACES_PER_FUNCTION = 175 / 282
WEIGHTS = {"nothing": 0.0, "one second": 1.0, "a second that is run": 120.0 / GPUS}


class Swapping(Farm):
    """A farm on paper whose GPUs each keep the Spaces that they served last."""

    def __init__(self, trace: list[Request], swap: float, weight: float) -> None:
        super().__init__(trace, Aged(GPUS), GPUS)
        self.swap, self.weight = swap, weight
        self.gpu_of: dict[int, int] = {}
        self.warm: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(GPUS)]

    def start(self, now: float) -> None:
        """A wait lasts until the task computes, its swap included."""
        idle = set(range(GPUS)) - {self.gpu_of[number] for _, number in self.running}
        gpu, chosen = min(product(idle, self.waiting), key=self._preference)
        self.waiting.remove(chosen)
        number, cost = chosen[1], self._cost(gpu, chosen[1])
        request, self.gpu_of[number] = self.trace[number], gpu
        self.warm[gpu][_space(request)] = None
        self.warm[gpu].move_to_end(_space(request))
        if len(self.warm[gpu]) > WARM:
            self.warm[gpu].popitem(last=False)
        self.waits[number] = now + cost - request.at
        heappush(self.running, (now + cost + request.seconds, number))

    def _preference(self, pair: tuple[int, tuple[Rank, int]]) -> tuple[float, float]:
        """There are several GPUs to choose from, or several tasks, never both: no GPU is idle while anything waits."""
        gpu, (rank, number) = pair
        cost = self._cost(gpu, number)
        return rank[0] + self.weight * cost, cost

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
