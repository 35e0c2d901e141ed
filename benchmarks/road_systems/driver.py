"""Answers the commands of `benchmarks.road` on standard input, one line each, with a line of JSON.

It runs in the environment of the measured system, so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

#: Standard output is for answers alone; other words, also of the worker's, go to standard error.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


class System(Protocol):
    """A queue with a worker that waits for tasks that do nothing."""

    def submit(self) -> Callable[[], object]:
        """Queue a task; returns a function that waits for its result."""


def serve(system: System) -> None:
    """Measure until standard input ends: `calls N`, or `flood N K`, N tasks with K of them under way at a time."""
    commands: dict[str, Callable[..., object]] = {
        "calls": lambda n: calls(system, n),
        "flood": lambda n, k: flood(system, n, k),
    }
    commands.update(getattr(system, "more", {}))
    print(json.dumps("ready"), file=_answers, flush=True)
    for line in sys.stdin:
        name, *numbers = line.split()
        print(json.dumps(commands[name](*map(int, numbers))), file=_answers, flush=True)


def calls(system: System, count: int) -> list[float]:
    """Seconds of each of so many calls, one after the other."""
    return [timed(lambda: system.submit()()) for _ in range(count)]


def flood(system: System, count: int, under_way: int) -> float:
    """Seconds for so many tasks."""
    started = time.perf_counter()
    waiting: deque[Callable[[], object]] = deque()
    for _ in range(count):
        if len(waiting) == under_way:
            waiting.popleft()()
        waiting.append(system.submit())
    for wait in waiting:
        wait()
    return time.perf_counter() - started


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
