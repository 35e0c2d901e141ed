"""How near can a shown wait come? `python -m benchmarks.forecasts`, 1 s

The simulator's farm at load 0.9, looked at from time to time through the farm's own forecast: as visitors see it, and
with the real seconds of every task in place of what was learned, which nobody can know.
"""

from __future__ import annotations

from math import inf
from random import Random
from statistics import median

from benchmarks.order.policies import Aged
from benchmarks.order.simulator import Farm
from benchmarks.order.traces import LOADS, Request, make_trace
from spaces.farm.queue.forecast import InHand, Line, Server, Waiting, forecast

GPUS, COUNT, SEEDS = 4, 6000, (1, 2, 3)
LEARNING = 0.2  #: part of the trace before anything is judged
LOOK = 40.0  #: seconds between two looks, each at LOOKED_AT of those who wait
LOOKED_AT = 3


class Watched(Farm):
    """A farm on paper of which a forecast is made."""

    def __init__(self, trace: list[Request]) -> None:
        super().__init__(trace, Aged(GPUS), GPUS)
        self.aged = Aged(GPUS, self.policy.estimates)  # type: ignore[attr-defined]  # an Aged's own
        self.estimates: dict[int, float] = {}
        self.started: dict[int, float] = {}
        self.shown: list[tuple[int, float, float, float]] = []  # task, moment, as visitors see it, as nobody can know

    def arrive(self, number: int) -> None:
        self.estimates[number] = self.aged.estimates.of(self.trace[number])
        super().arrive(number)

    def start(self, now: float) -> None:
        self.started[self.waiting[0][1]] = now
        super().start(now)

    def look(self, now: float, random: Random) -> None:
        """Note what some of those who wait are shown now."""
        queue = [number for _, number in sorted(self.waiting)]
        places = random.sample(range(len(queue)), min(LOOKED_AT, len(queue)))
        seconds = {number: self.trace[number].seconds for number in [*queue, *(task for _, task in self.running)]}
        seen, known = (self._waits(now, queue, places, each) for each in (self.estimates, seconds))
        self.shown += [(queue[place], now, seen[place], known[place]) for place in places]

    def _waits(self, now: float, queue: list[int], places: list[int], seconds: dict[int, float]) -> dict[int, float]:
        waiting = [Waiting(place, place, seconds[each]) for place, each in enumerate(queue)]
        line = Line("large", len(queue), tuple(waiting))
        in_hand = [
            InHand(now - self.started[task], seconds[task], self.trace[task].declared) for _, task in self.running
        ]
        servers = [Server(("large",), (task,)) for task in in_hand] + [Server(("large",), ())] * self.free
        begins = forecast([line], servers).of("large")
        return {place: begins.wait(place) or 0.0 for place in places}


def main() -> None:
    """A line for each: the median error beside the whole wait, and beside what was left of it."""
    looks = [look for seed in SEEDS for look in _looks(seed)]
    for name, column in (("as visitors see it", 3), ("with every run's real seconds", 4)):
        wrong = [abs(look[column] - look[2]) for look in looks]
        whole = median(error / look[0] for error, look in zip(wrong, looks, strict=True))
        left = median(error / look[2] for error, look in zip(wrong, looks, strict=True))
        print(f"{name}: off by {whole:.0%} of the whole wait, {left:.0%} of what is left of it ({len(looks)} looks)")


def _looks(seed: int) -> list[tuple[float, float, float, float, float]]:
    """Of each look: the whole wait, the moment, what was left, and the two forecasts of that."""
    trace, random = make_trace(LOADS["full"], COUNT, seed, GPUS), Random(seed)
    farm, next_look = Watched(trace), LEARNING * trace[-1].at
    for number, request in enumerate(trace):
        while next_look < request.at:
            farm.run_until(next_look)
            farm.look(next_look, random)
            next_look += LOOK
        farm.run_until(request.at)
        farm.arrive(number)
    farm.run_until(inf)
    return [
        (farm.started[task] - trace[task].at, now, farm.started[task] - now, seen, known)
        for task, now, seen, known in farm.shown
    ]


if __name__ == "__main__":
    main()
