"""Quotas of visitors: the terms of a push, the errors of a refusal, the charge of an end, and the remaining quota.

`queue.py` sends the visitor's terms with each push: the broker reserves the expected seconds, or refuses. With each end
it sends whether to charge: the broker settles in the same script that ends the task. Charged are the seconds that a
worker held a GPU for the task, from its claim to its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import msgpack

from spaces.errors import IllegalDuration, QuotaExceeded
from spaces.farm.events import Cancelled, CrashCause, Crashed, End, Expired, Failed, Lost, Succeeded, TimedOut
from spaces.farm.memory_errors import lacks_memory
from spaces.farm.queue.keys import DAY, Keys
from spaces.farm.queue.settings_file.tiers import QuotaRules, Tier
from spaces.farm.size import Size
from spaces.farm.task import Task

if TYPE_CHECKING:
    from redis import Redis

    from spaces.farm.queue.scripts import Scripts

#: Seconds charged for each second that a task of a size holds its GPU, as on ZeroGPU.
RATES = {Size.LARGE: 1.0, Size.XLARGE: 2.0}


def terms(rules: QuotaRules, task: Task) -> bytes:
    """The terms by which `push.lua` admits a task; empty if it counts for no visitor. -1 is no limit."""
    if not rules.enabled or not task.visitor:
        return b""
    tier = rules.tier(task.visitor)
    packed: bytes = msgpack.packb(
        {
            "visitor": task.visitor,
            "tier": tier.name,
            "asked": task.time_limit,
            "longest": -1 if tier.longest is None else tier.longest,
            "daily": -1 if tier.daily is None else tier.daily,
            "parallel": -1 if tier.parallel is None else tier.parallel,
            "rate": RATES[Size(task.size)],
            "half_life": rules.half_life,
            "weight": rules.usage_weight,
        }
    )
    return packed


def exceeded(rules: QuotaRules, task: Task, kind: str, facts: Sequence[str]) -> QuotaExceeded:
    """The error for a task that was not admitted, in ZeroGPU's words, from the result of `over_quota` in quota.lua."""
    tier = rules.tier(task.visitor).name
    requested, allowed, wait = map(float, facts)
    vs = f"({taken(requested)}s requested vs. {left(allowed)}s left)"
    too_long = f"The requested GPU duration ({taken(requested)}s) is larger than the maximum allowed"
    match kind:
        case "longest":
            return IllegalDuration(f"{too_long} ({left(allowed)}s)")
        case "daily":
            return IllegalDuration(f"{too_long} ({left(allowed)}s a day)")
        case "used":
            return QuotaExceeded(f"You have exceeded your {tier} ZeroGPU quota {vs}. Try again in {clock(wait)}.")
        case "reserved":
            return QuotaExceeded(
                f"You have exceeded your {tier} ZeroGPU quota {vs}: the rest is allocated to tasks of yours that wait "
                "or run. Try again once some of those tasks have completed."
            )
        case "parallel":
            return QuotaExceeded(
                f"You have too many ZeroGPU tasks: {left(allowed)} of yours wait or run, as many as your {tier} "
                "quota allows. Try again once one of those tasks has completed."
            )
        case _:
            raise ValueError(f"task {task.id} was refused for a reason of another version: {kind!r}")


def is_charged(end: End) -> bool:
    """Whether a visitor pays for the task: not for the farm's failures, nor for a lack of memory.

    A function's own exception always has a traceback; a worker's failure has none.
    """
    match end:
        case Succeeded() | TimedOut() | Cancelled():
            return True
        case Failed(type_name, text, traceback):
            return bool(traceback) and not lacks_memory(type_name, text)
        case Crashed(cause=cause):
            return cause == CrashCause.FUNCTION
        case Expired() | Lost():
            return False
        case _:
            assert_never(end)


@dataclass(frozen=True, slots=True)
class Quota:
    """A visitor's quota at one moment. Seconds are GPU seconds; None is no limit."""

    tier: str
    limit: float | None  #: seconds a day
    used: float  #: seconds of the current day
    left: float | None  #: seconds neither used nor reserved by tasks that wait or run
    resets_in: float  #: seconds until the current day ends; 0 if no day has begun


@dataclass(frozen=True, slots=True)
class Standing:
    """A visitor's usage, as operators see it."""

    visitor: str
    quota: Quota
    reserved: float  #: seconds that tasks which wait or run are expected to take
    tasks: int  #: that wait or run
    usage: float  #: seconds that count in the rank


class Ledger:
    """The visitors' usage. Raises redis's errors if the broker does not answer."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts, rules: QuotaRules) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._rules = rules

    def standing(self, visitor: str) -> Standing:
        """The current usage of a visitor, all zero for an unknown one."""
        reply = self._scripts.run("quota_read", self._keys.usage(visitor), visitor, self._rules.half_life)
        used, resets_in, reserved, tasks, usage = map(float, reply[:5])
        tier = self._tier(visitor, *map(bytes.decode, reply[5:]))
        left = None if tier.daily is None else max(0.0, tier.daily - used - reserved)
        return Standing(visitor, Quota(tier.name, tier.daily, used, left, resets_in), reserved, int(tasks), usage)

    def knows(self, visitor: str) -> bool:
        """Whether the settings list the visitor, or the farm has counted a task of theirs lately."""
        names = (self._keys.usage(visitor), self._keys.reserved(visitor))
        return visitor in self._rules.visitors or bool(self._redis.exists(*names))

    def reset(self, visitor: str) -> None:
        """Forget the seconds that a visitor has used. Tasks that wait or run are charged when they end."""
        name = self._keys.usage(visitor)
        with self._redis.pipeline() as pipe:
            pipe.hset(name, mapping={"used": 0, "decayed": 0})
            pipe.hdel(name, "since")
            pipe.expire(name, DAY)
            pipe.execute()

    def _tier(self, visitor: str, name: str, daily: str) -> Tier:
        """By the settings of this process; without any, as in those of the page that sent the visitor's last task."""
        if self._rules.enabled or not name:
            return self._rules.tier(visitor)
        return Tier(name, daily=float(daily) if float(daily) >= 0 else None)

    def all(self) -> list[Standing]:
        """Every visitor that the broker remembers, by usage, the highest first."""
        prefix = len(self._keys.usage(""))
        names = {key.decode()[prefix:] for key in self._redis.scan_iter(match=self._keys.usage("*"), count=1000)}
        return sorted(map(self.standing, names), key=lambda each: (-each.quota.used, each.visitor))


def taken(seconds: float) -> int:
    """Whole seconds that were used or are asked for, rounded up, wherever people read them."""
    return math.ceil(seconds)


def left(seconds: float) -> int:
    """Whole seconds that may still be used, rounded down: a task of so many is not refused."""
    return math.floor(seconds)


def clock(seconds: float) -> str:
    """H:MM:SS, rounded up, so that the quota is really available by then."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
