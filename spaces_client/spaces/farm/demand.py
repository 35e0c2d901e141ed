"""How often each Space is called, from the arrivals of its tasks: by this a worker knows who is expected back soonest.

An arrival counts one at first and less from then on. It counts twice over: in a sum that fades in seconds, because a
visitor who has called will probably call again soon, and in one that fades in hours, which says how popular the Space
is. `push.lua` keeps both in the broker, where they survive workers and are the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from redis import Redis

#: Seconds after which an arrival counts half, in each sum, and the part of the expected calls that the sum foretells.
#: Source: `python -m benchmarks.residency`; halves of 20 to 60 s and of 1800 to 7200 s hardly differ.
SOON, SOON_PART = 30.0, 0.6
LATER, LATER_PART = 3600.0, 0.4


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The weighted numbers of a Space's arrivals, as they were at a time."""

    soon: float = 0.0
    later: float = 0.0
    at: float = 0.0

    def after_one(self, now: float) -> Arrivals:
        """The same with an arrival now; `push.lua` has the same arithmetic."""
        passed = max(0.0, now - self.at)
        return Arrivals(_faded(self.soon, passed, SOON) + 1.0, _faded(self.later, passed, LATER) + 1.0, now)

    def rate(self, now: float) -> float:
        """Calls that are expected in a second."""
        passed = max(0.0, now - self.at)
        soon = SOON_PART * _faded(self.soon, passed, SOON) / SOON
        later = LATER_PART * _faded(self.later, passed, LATER) / LATER
        return math.log(2.0) * (soon + later)

    @classmethod
    def unpack(cls, text: str) -> Arrivals:
        """Read what `push.lua` has written."""
        return cls(*map(float, text.split()))


def calls_a_second(redis: Redis, key: str) -> Mapping[str, float]:
    """The expected calls of each Space that was called in the last weeks, from the broker's `demand`."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hgetall(key)
        (seconds, microseconds), found = cast("tuple[tuple[int, int], dict[bytes, bytes]]", tuple(pipe.execute()))
    now = seconds + microseconds / 1e6
    return {space.decode(): Arrivals.unpack(text.decode()).rate(now) for space, text in found.items()}


def _faded(total: float, passed: float, half: float) -> float:
    return total * math.exp2(-passed / half)
