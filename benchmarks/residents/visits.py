"""Calls as visitors of many Spaces make them.

Nobody publishes the arrivals of Spaces, so each part of their shape is an assumption and stands below as a constant:
few Spaces get most visits, a visitor calls several times with pauses, and each Space has its own hours of the day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

#: The k-th most popular Space is visited as often as the first one divided by k to the power of this.
POPULARITY = 0.9

#: Mean number of calls of one visitor, and the mean of the seconds between an answer and their next call.
CALLS, PAUSE = 4.0, 25.0

#: How far the visits of a Space rise and fall over its day, as a part of their mean.
RHYTHM = 0.8

#: Median seconds of a call, and sigma of the logarithm.
SECONDS = (4.0, 0.8)

DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Call:
    """One task."""

    at: float
    space: int
    seconds: float  #: that it computes
    opened_at: float  #: when its visitor opened the page

    @property
    def name(self) -> str:
        """The name of its Space."""
        return f"space-{self.space}"


def calls(spaces: int, span: float, work: float, seed: int) -> list[Call]:
    """The calls of `span` seconds, whose computing takes about `work` seconds in each second."""
    random = Random(seed)
    weights = [(place + 1) ** -POPULARITY for place in range(spaces)]
    random.shuffle(weights)
    peaks = [random.uniform(0.0, DAY) for _ in range(spaces)]
    mean = SECONDS[0] * math.exp(SECONDS[1] ** 2 / 2)
    visits = work * span / (mean * CALLS)
    found: list[Call] = []
    now = 0.0
    while (now := now + random.expovariate(visits / span)) < span:
        at_this_hour = [weight * _rhythm(now - peak) for weight, peak in zip(weights, peaks, strict=True)]
        found += _visit(now, random.choices(range(spaces), at_this_hour)[0], random)
    return sorted((call for call in found if call.at < span), key=lambda call: call.at)


def _rhythm(since_peak: float) -> float:
    return 1.0 + RHYTHM * math.cos(2 * math.pi * since_peak / DAY)


def _visit(opened_at: float, space: int, random: Random) -> list[Call]:
    found: list[Call] = []
    now = opened_at
    while not found or random.random() < 1.0 - 1.0 / CALLS:
        now += random.expovariate(1.0 / PAUSE)
        seconds = SECONDS[0] * math.exp(random.gauss(0.0, SECONDS[1]))
        found.append(Call(now, space, seconds, opened_at))
        now += seconds
    return found
