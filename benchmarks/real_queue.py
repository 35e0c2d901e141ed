"""A farm with the real queue: a broker, a thread that pushes, and a thread for each GPU that claims and sleeps.

Called by `benchmarks.ranking`, to hold the simulator against. Time runs faster: arrivals, runs and handicaps are divided
by `speed`. Learning happens here and not in the broker, so that only the queue and the clock differ from the simulator.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from benchmarks.policies import Aged
from benchmarks.traces import Request
from spaces.farm.events import Succeeded
from spaces.farm.keys import Keys
from spaces.farm.payload import Payload
from spaces.farm.queue import Claimed, Queue
from spaces.farm.rules import Rules
from spaces.farm.task import FunctionName, Size, Task


class RealQueue:
    """One trace through one queue. The handicaps are the policy's, the order and the waits are the broker's."""

    def __init__(self, redis: Redis, name: str, trace: Sequence[Request], policy: Aged, speed: float) -> None:
        self.queue = Queue(redis, Keys(f"{{{name}}}"), Rules(weight=1.0))
        self.trace = trace
        self.policy = policy
        self.speed = speed
        self.waits = [0.0] * len(trace)
        self._numbers: dict[str, int] = {}
        self._left = len(trace)
        self._lock = threading.Lock()
        self._start = 0.0

    def run(self, gpus: int) -> list[float]:
        """The seconds, in the time of the trace, that each task waited."""
        self._start = time.monotonic() - self.trace[0].at / self.speed
        with ThreadPoolExecutor(gpus + 1) as threads:
            parts = [threads.submit(self._push)]
            parts += [threads.submit(self._work, f"gpu{number}") for number in range(gpus)]
        for part in parts:
            part.result()
        return self.waits

    def _push(self) -> None:
        for number, request in enumerate(self.trace):
            _sleep_until(self._start + request.at / self.speed)
            with self._lock:
                estimate = self.policy.handicap(request) / self.speed
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
        self.waits[number] = (now - self._start) * self.speed - request.at
        _sleep_until(now + request.seconds / self.speed)
        self.queue.end(claimed.lease, Succeeded(Payload(b"")))
        with self._lock:
            self.policy.ended(request)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
