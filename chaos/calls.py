"""A call of the load, and its answers: what the caller was told, and whether that was right."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """What an answer tells its caller."""

    GOOD = "the right value"
    REFUSED = "not queued, try again"
    STOPPED = "stopped by a failure of the farm"
    CUT = "the page died meanwhile"
    LOST = "no answer"
    BLAMED = "the author was blamed"
    WRONG = "a wrong value"


#: The answers that no fault excuses.
INEXCUSABLE = (Kind.LOST, Kind.BLAMED, Kind.WRONG)

#: The farm's own words for its failures. Any other error of a function that raises none blames its author.
_REFUSALS = re.compile(r"was not queued|takes no tasks now")
_STOPS = re.compile(
    r"was cancelled: the process that waited|was lost: \d+ workers died|was killed by SIG(KILL|TERM)|died together with"
    r"|could not be made|was given up, because the worker|Out of memory|ran out of memory|MemoryError|No space left"
    r"|has no room for a payload|WorkerLostError|worker lost"
)

How = Literal["page", "program"]
Function = Literal["work", "stream", "turn"]


@dataclass
class Call:
    """One call, and what came of it. Times are of the monotonic clock."""

    token: str
    how: How
    function: Function
    seconds: float  #: that the function takes
    begun_at: float = field(default_factory=time.monotonic)
    answered_at: float = 0.0
    answers: list[tuple[Kind, str]] = field(default_factory=list)

    def answer(self, kind: Kind, text: str = "") -> None:
        """Note an answer; a call has one."""
        self.answered_at = time.monotonic()
        self.answers.append((kind, text))

    def value(self, got: object, expected: object) -> None:
        """Note a value that arrived as the answer."""
        if got == expected:
            self.answer(Kind.GOOD)
        else:
            self.answer(Kind.WRONG, f"{str(got)[:100]!r} instead of {str(expected)[:100]!r}")

    def error(self, text: str) -> None:
        """Note an error that arrived as the answer."""
        self.answer(kind_of_error(text), text)


def kind_of_error(text: str) -> Kind:
    """What the text of an error tells its caller."""
    if _REFUSALS.search(text):
        return Kind.REFUSED
    return Kind.STOPPED if _STOPS.search(text) else Kind.BLAMED


def by_kind(calls: Iterable[Call]) -> Counter[Kind]:
    """How many answers of each kind there were."""
    return Counter(kind for call in calls for kind, _ in call.answers)


def silences(calls: Iterable[Call], begun_at: float) -> list[tuple[float, float]]:
    """The beginning and the end of each time without a good answer."""
    times = sorted(call.answered_at for call in calls if call.answers[-1:] and call.answers[-1][0] is Kind.GOOD)
    return list(zip([begun_at, *times], times, strict=False))
