"""How long a task will take: what its function declares, and more and more what its tasks really took.

One `Learned` is kept for each function, revision aside, and each `step` of the duration that it declares: a callable
duration knows the size of the job, so what it answers is part of the key. Whoever pushes a task asks for its estimate
and for its handicap in the rank; whoever ends one updates what is known, but only by a run that succeeded or was
stopped at its limit: how soon a function fails or is cancelled says nothing of how long it takes. `docs/ranking.md`
has the measurements behind every default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EstimateRules:
    """How fast the farm learns, and how much of an estimate counts in the rank."""

    weight: float = 120.0  #: seconds of rank for each second of estimate, on a farm of one GPU
    doubt: float = 1.0  #: how many runs the declaration is worth
    memory: int = 20  #: runs after which an old one hardly counts: functions change
    floor: float = 1.0  #: seconds below which tasks rank alike, for then handing over costs as much as running
    cap: float = 120.0  #: seconds above which tasks rank alike: bounds how long anything can be overtaken


DEFAULT = EstimateRules()


@dataclass(frozen=True, slots=True)
class Learned:
    """What the runs of one function, with one declared duration, took."""

    count: int = 0  #: runs, up to the memory
    mean: float = 0.0  #: seconds of those runs, the latest ones weighing most once there are many

    def pack(self) -> str:
        """As text, for a field of a hash."""
        return f"{self.count} {self.mean!r}"

    @classmethod
    def unpack(cls, text: str) -> Learned:
        """From what `pack` made. Raises ValueError for anything else."""
        count, mean = text.split(" ")
        return cls(int(count), float(mean))


NOTHING = Learned()


def step(declared: float) -> int:
    """Which declared durations learn together: those within a fifth of each other.

    Else a callable that answers something new for every call would teach nothing, and fill the broker.
    """
    return round(4 * math.log2(declared))


def update(learned: Learned, seconds: float, rules: EstimateRules = DEFAULT) -> Learned:
    """What is known after one more run.

    The plain mean at first, and from the memory on a mean in which each run counts for 1/memory.
    """
    if not (seconds >= 0.0 and math.isfinite(seconds)):
        raise ValueError(f"a run takes no less than 0 seconds and ends, got {seconds:g}")
    count = min(learned.count + 1, rules.memory)
    return Learned(count, learned.mean + (seconds - learned.mean) / count)


def estimate(learned: Learned, declared: float, rules: EstimateRules = DEFAULT) -> float:
    """Expected seconds: the declaration before the first run, near the mean soon after, never above the declaration.

    The two are blended by their logarithms, because a declaration is wrong by a factor: one that says 60 s and takes
    2 s is expected to take 11 s after one run, 3.5 s after five and 2.4 s after twenty.
    """
    if not learned.count:
        return declared
    trust = learned.count / (learned.count + rules.doubt)
    return declared * math.pow(min(learned.mean / declared, 1.0), trust)


def handicap(expected: float, gpus: int, rules: EstimateRules = DEFAULT) -> float:
    """The seconds that an estimate adds to a task's time of arrival in the rank: for so long it may be overtaken.

    A second on one of n GPUs keeps the others waiting for 1/n of a second, so the weight is shared among the GPUs. The
    full estimate, without floor and cap, is for telling people how long they wait.
    """
    return rules.weight / gpus * min(max(expected, rules.floor), rules.cap)
