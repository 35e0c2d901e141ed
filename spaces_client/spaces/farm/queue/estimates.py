"""Estimates how long a task takes: from its function's declared duration, and increasingly from earlier runs.

One `Learned` is kept for each function, across revisions, and each `step` of its declared duration: a callable
duration depends on the size of the job, so its result is part of the key. A push asks for the task's estimate and its
handicap in the rank; an end updates the `Learned`, but only after a run that succeeded or was stopped at its limit,
because the time until a failure or a cancellation does not show how long the function takes. `docs/ranking.md` has the
measurements behind every default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spaces.farm.task import Task


@dataclass(frozen=True, slots=True)
class EstimateRules:
    """How fast the farm learns, and how much an estimate counts in the rank."""

    weight: float = 120.0  #: seconds of rank for each second of estimate, on a farm of one GPU
    doubt: float = 1.0  #: weight of the declaration, in runs
    memory: int = 20  #: runs after which an old run hardly counts, because functions change
    floor: float = 1.0  #: seconds below which tasks rank alike, because handing them over costs as much as running them
    cap: float = 120.0  #: seconds above which tasks rank alike: limits how long a task can be overtaken


DEFAULT = EstimateRules()


@dataclass(frozen=True, slots=True)
class Learned:
    """The durations of the runs of one function with one declared duration."""

    count: int = 0  #: runs, at most `memory`
    mean: float = 0.0  #: seconds of those runs; once there are many, later runs weigh more

    def pack(self) -> str:
        """Encode as text, for a field of a hash."""
        return f"{self.count} {self.mean!r}"

    @classmethod
    def unpack(cls, text: str) -> Learned:
        """Decode the text of `pack`. Raises ValueError for any other text."""
        count, mean = text.split(" ")
        return cls(int(count), float(mean))


NOTHING = Learned()


def kind(task: Task) -> str:
    """The key under which tasks learn together: their function and the class of their declared duration."""
    return f"{task.function} {step(task.time_limit)}"


def step(declared: float) -> int:
    """The class of a declared duration: durations within a fifth of each other learn together.

    Otherwise a callable that returns a new value for every call would teach nothing, and fill the broker.
    """
    return round(4 * math.log2(declared))


def update(learned: Learned, seconds: float, rules: EstimateRules = DEFAULT) -> Learned:
    """The Learned after one more run.

    The plain mean of the first `memory` runs; later a running mean in which each new run counts 1/memory.
    """
    if not (seconds >= 0.0 and math.isfinite(seconds)):
        raise ValueError(f"the seconds of a run must be finite and at least 0, got {seconds:g}")
    count = min(learned.count + 1, rules.memory)
    return Learned(count, learned.mean + (seconds - learned.mean) / count)


def estimate(learned: Learned, declared: float, rules: EstimateRules = DEFAULT) -> float:
    """Expected seconds: the declaration before the first run, near the mean soon after, never above the declaration.

    The logarithms of the two are averaged, because a declaration is wrong by a factor: one that says 60 s and takes
    2 s is expected to take 11 s after one run, 3.5 s after five and 2.4 s after twenty.
    """
    if not learned.count:
        return declared
    trust = learned.count / (learned.count + rules.doubt)
    return declared * math.pow(min(learned.mean / declared, 1.0), trust)


def handicap(expected: float, gpus: int, rules: EstimateRules = DEFAULT) -> float:
    """The seconds that an estimate adds to a task's time of arrival in the rank; later tasks may overtake it so long.

    A second on one of n GPUs delays the other tasks by 1/n of a second, so the weight is divided by the number of GPUs.
    Floor and cap apply here only; expected waits use the full estimate.
    """
    return rules.weight / gpus * min(max(expected, rules.floor), rules.cap)
