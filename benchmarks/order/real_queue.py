"""Do tasks of a real queue wait as long as the simulated ones? Called by `benchmarks.ranking`.

Real are the broker, a thread that pushes, and a thread for each GPU that claims and sleeps, all `SPEED` times faster
than the trace. Learning happens here and not in the broker, so that only queue and clock differ from the simulator.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from statistics import fmean

from redis import Redis

from benchmarks.order.policies import Aged, Estimates
from benchmarks.order.simulator import waits_of
from benchmarks.order.traces import Request
from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.claiming import Claimed
from spaces.farm.queue.estimates import EstimateRules
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, Task

SPEED = 60.0
TOLERANCE = 0.15


def report(redis: Redis, trace: Sequence[Request], estimates: Estimates, gpus: int) -> None:
    """A line for first-come and one for our order, both run at the same time: mean waits, real beside simulated."""
    without = Estimates(EstimateRules(weight=0.0))
    known = {"first-come": without, "ours": estimates}
    queues = {name: RealQueue(redis, name, trace, Aged(gpus, known[name].copy())) for name in known}
    with ThreadPoolExecutor(len(queues)) as threads:
        running = {name: threads.submit(queue.run, gpus) for name, queue in queues.items()}
    for name, run in running.items():
        real, simulated = fmean(run.result()), fmean(waits_of(trace, Aged(gpus, known[name].copy()), gpus))
        verdict = "within" if abs(real / simulated - 1) <= TOLERANCE else "OVER"
        print(
            f"real queue, {len(trace)} requests, {name}: mean wait {real:.1f} s, simulated {simulated:.1f} s, "
            f"ratio {real / simulated:.2f} ({verdict} {TOLERANCE:.0%})"
        )


class RealQueue:
    """One trace through one queue. The handicaps are the policy's, the order and the waits are the broker's."""

    def __init__(self, redis: Redis, name: str, trace: Sequence[Request], policy: Aged) -> None:
        self.queue = Queue(redis, Keys(f"{{{name}}}"), Rules(EstimateRules(weight=1.0, floor=0.0, cap=inf)))
        self.trace = trace
        self.policy = policy
        self.waits = [0.0] * len(trace)
        self._numbers: dict[str, int] = {}
        self._left = len(trace)
        self._lock = threading.Lock()
        self._start = 0.0

    def run(self, gpus: int) -> list[float]:
        """The seconds, in the time of the trace, that each task waited."""
        self._start = time.monotonic() - self.trace[0].at / SPEED
        with ThreadPoolExecutor(gpus + 1) as threads:
            parts = [threads.submit(self._push)]
            parts += [threads.submit(self._work, f"gpu{number}") for number in range(gpus)]
        for part in parts:
            part.result()
        return self.waits

    def _push(self) -> None:
        for number, request in enumerate(self.trace):
            _sleep_until(self._start + request.at / SPEED)
            with self._lock:
                estimate = self.policy.handicap(request) / SPEED
                task = Task("real", FunctionName("__main__", f"task{number}"), Payload(b""), estimate=estimate)
                self._numbers[task.id] = number
            self.queue.push(task, b"")

    def _work(self, worker: str) -> None:
        while self._left:
            claimed = self.queue.claim(worker, [Size.LARGE])
            if claimed is None:
                self.queue.redis.brpop([self.queue.keys.bell(Size.LARGE)], timeout=0.2)
            else:
                self._serve(claimed)

    def _serve(self, claimed: Claimed) -> None:
        now = time.monotonic()
        with self._lock:
            number = self._numbers[claimed.lease.task.id]
            self._left -= 1
        request = self.trace[number]
        self.waits[number] = (now - self._start) * SPEED - request.at
        _sleep_until(now + request.seconds / SPEED)
        self.queue.end(claimed.lease, Succeeded(Payload(b"")))
        with self._lock:
            self.policy.ended(request)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
