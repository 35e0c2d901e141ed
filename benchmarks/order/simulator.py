"""A farm on paper: requests, a policy that ranks them, and GPUs that each run the best of what waits.

The GPUs are alike, a run is not interrupted, and no GPU is idle while anything waits; swaps cost nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf
from typing import Protocol

from benchmarks.order.traces import Request

#: Where a task stands, lowest first; equal ones in the order of their arrival.
Rank = tuple[float, ...]


class Policy(Protocol):
    """Ranks tasks, with the knowledge that a farm has at that moment."""

    def rank(self, request: Request) -> Rank:
        """Where a task that arrives now stands from now on."""

    def ended(self, request: Request) -> None:
        """A task has ended; only now its real seconds are known."""


def waits_of(trace: Sequence[Request], policy: Policy, gpus: int = 4) -> list[float]:
    """The seconds that each task of the trace waits before it runs."""
    return Farm(trace, policy, gpus).run()


class Farm:
    """The state of one simulation."""

    def __init__(self, trace: Sequence[Request], policy: Policy, gpus: int) -> None:
        self.trace = trace
        self.policy = policy
        self.free = gpus
        self.waits = [0.0] * len(trace)
        self.waiting: list[tuple[Rank, int]] = []
        self.running: list[tuple[float, int]] = []  # by the time of the end

    def run(self) -> list[float]:
        """The whole trace: the seconds that each task waits."""
        for number, request in enumerate(self.trace):
            self.run_until(request.at)
            self.arrive(number)
        self.run_until(inf)
        return self.waits

    def arrive(self, number: int) -> None:
        request = self.trace[number]
        heappush(self.waiting, (self.policy.rank(request), number))
        if self.free:
            self.free -= 1
            self.start(request.at)

    def run_until(self, time: float) -> None:
        while self.running and self.running[0][0] <= time:
            now, number = heappop(self.running)
            self.policy.ended(self.trace[number])
            if self.waiting:
                self.start(now)
            else:
                self.free += 1

    def start(self, now: float) -> None:
        _, number = heappop(self.waiting)
        request = self.trace[number]
        self.waits[number] = now - request.at
        heappush(self.running, (now + request.seconds, number))
