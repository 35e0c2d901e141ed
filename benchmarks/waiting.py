"""Is the wait that visitors are shown the one that they have? `python -m benchmarks.waiting`

A real broker with its own learning, a thread that pushes a seeded trace at load 0.9, a thread for each GPU that claims
and sleeps, and one that looks at places as visitors do. Everything is `SPEED` times faster than the trace. Takes 80 s.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median

from redis import Redis

from benchmarks.order.traces import LOADS, Request, make_trace
from benchmarks.scale.brokers import volatile_broker
from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.claiming import Claimed
from spaces.farm.queue.estimates import DEFAULT, EstimateRules
from spaces.farm.queue.outlook import Outlook
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, Task

GPUS, COUNT, SEED, SPEED = 4, 1500, 1, 100.0
LEARNING = 0.2  #: part of the trace before anything is judged
LOOK = 5.0  #: seconds of the trace between two looks, each at LOOKED_AT of those who wait
LOOKED_AT = 3
BUDGET = 0.3


@dataclass(frozen=True, slots=True)
class Look:
    """What one visitor was shown once."""

    task: int
    at: float
    shown: float


class Waits:
    """One run of the trace."""

    def __init__(self, redis: Redis, trace: Sequence[Request]) -> None:
        rank = EstimateRules(floor=DEFAULT.floor / SPEED, cap=DEFAULT.cap / SPEED)
        self.queue = Queue(redis, rules=Rules(rank, worker_lease=60.0))
        self.trace = trace
        self.arrived: dict[int, float] = {}
        self.began: dict[int, float] = {}
        self.looks: list[Look] = []
        self._numbers: dict[str, int] = {}

    def run(self) -> None:
        """Push, run and look until everything has begun."""
        with ThreadPoolExecutor(GPUS + 2) as threads:
            parts = [threads.submit(self._work, f"gpu{number}") for number in range(GPUS)]
            parts += [threads.submit(self._push), threads.submit(self._look)]
        for part in parts:
            part.result()

    def errors(self) -> tuple[list[float], list[float]]:
        """The error of each forecast, as a fraction of the whole wait, and of the remaining wait."""
        judged = [look for look in self.looks if look.task > LEARNING * COUNT and look.at < self.began[look.task]]
        wrong = [look.at + look.shown - self.began[look.task] for look in judged]
        whole = [self.began[look.task] - self.arrived[look.task] for look in judged]
        left = [self.began[look.task] - look.at for look in judged]
        return _parts(wrong, whole), _parts(wrong, left)

    @property
    def _is_over(self) -> bool:
        return len(self.began) == len(self.trace)

    def _push(self) -> None:
        start = time.monotonic()
        for number, request in enumerate(self.trace):
            time.sleep(max(0.0, start + request.at / SPEED - time.monotonic()))
            function, declared = FunctionName("__main__", f"f{request.function}"), request.declared / SPEED
            task = Task("real", function, Payload(b""), estimate=declared, time_limit=declared)
            self._numbers[task.id] = number
            self.arrived[number] = time.monotonic()
            self.queue.push(task, b"")

    def _work(self, worker: str) -> None:
        while not self._is_over:
            self.queue.leases.beat(worker, {"sizes": ["large"]})
            claimed = self.queue.claim(worker, [Size.LARGE])
            if claimed is None:
                self.queue.redis.brpop([self.queue.keys.bell(Size.LARGE)], timeout=0.2)
            else:
                self._serve(claimed)

    def _serve(self, claimed: Claimed) -> None:
        number = self._numbers[claimed.lease.task.id]
        self.began[number] = time.monotonic()
        seconds = self.trace[number].seconds / SPEED
        time.sleep(seconds)
        self.queue.end(claimed.lease, Succeeded(Payload(b""), seconds))

    def _look(self) -> None:
        chance = random.Random(SEED)
        outlook = Outlook(self.queue.redis, self.queue.scripts, self.queue.keys, fresh=LOOK / SPEED)
        while not self._is_over:
            time.sleep(LOOK / SPEED)
            waiting = [task for task, number in list(self._numbers.items()) if number not in self.began]
            for task in chance.sample(waiting, min(LOOKED_AT, len(waiting))):
                place = outlook.place(task)
                if place is not None and place.seconds is not None:
                    self.looks.append(Look(self._numbers[task], time.monotonic(), place.seconds))


def main() -> None:
    """One line each: the error of when it begins, by the whole wait, and the harder one by what is left of it."""
    trace = make_trace(LOADS["full"], COUNT, SEED, GPUS)
    with volatile_broker() as redis:
        waits = Waits(redis, trace)
        waits.run()
    whole, left = map(median, waits.errors())
    verdict = "within" if whole <= BUDGET else "OVER"
    print(f"wait shown, {len(waits.looks)} looks at load 0.9: waited and shown differ from the whole wait")
    print(
        f"  by {whole:.0%} in the median ({verdict} the budget of {BUDGET:.0%}); by {left:.0%} of what was left of it"
    )


def _parts(wrong: Sequence[float], of: Sequence[float]) -> list[float]:
    return [abs(error) / whole for error, whole in zip(wrong, of, strict=True)]


if __name__ == "__main__":
    main()
