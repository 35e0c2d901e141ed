"""Measures the seconds that a worker needs to begin a task of a Space, by how much of the Space is loaded already."""

from __future__ import annotations

from enum import Enum
from statistics import fmean

from spaces.farm.farm_status import ON_DEVICE


class Level(Enum):
    """How much of a Space is loaded, the most first."""

    CHILD = "a child is warm"
    PINNED = "its child sleeps, with the weights in pinned memory"
    ASLEEP = "its child sleeps, with the weights in ordinary memory"
    HOST = "its zygote is ready, with the weights in the host's memory"
    UNSEEN = "nothing"


#: The levels of a child, for tables.
LEVELS = {Level.CHILD: ON_DEVICE, Level.PINNED: "asleep, pinned", Level.ASLEEP: "asleep"}

#: Seconds to a ready child that are assumed until the level has been measured.
ASSUMED = {Level.PINNED: 0.2, Level.ASLEEP: 0.5, Level.HOST: 1.0, Level.UNSEEN: 10.0}


class SwapCosts:
    """Learns the seconds to a ready child, as the mean of the old value and the new, by Space and level.

    Not safe to use from several threads.
    """

    def __init__(self) -> None:
        self._seconds: dict[Level, dict[str, float]] = {level: {} for level in ASSUMED}
        self._going: dict[str, float] = {}

    def learn(self, space: str, level: Level, seconds: float) -> None:
        """Record the seconds from this level to a ready child."""
        measured = self._seconds[level]
        measured[space] = (measured.get(space, seconds) + seconds) / 2

    def learn_sleep(self, space: str, seconds: float) -> None:
        """Record the seconds in which a child has gone to sleep in ordinary memory."""
        self._going[space] = seconds

    def sleep_pays(self, space: str, *, is_saved: bool) -> bool:
        """Whether a sleep in ordinary memory, with the way there, costs less than a new child; else it is not tried.

        The way costs nothing for a child whose copies are up to date already.
        """
        there = 0.0 if is_saved else self._going.get(space, fmean(self._going.values() or [0.0]))
        return there + self.seconds(space, Level.ASLEEP) < self.seconds(space, Level.HOST)

    def seconds(self, space: str, level: Level) -> float:
        """Expected seconds to a ready child: this Space's own, or those of other Spaces at the same level."""
        return 0.0 if level is Level.CHILD else self._seconds[level].get(space, self.typical(level))

    def typical(self, level: Level) -> float:
        """Expected seconds for a Space without a measurement at this level."""
        return fmean(self._seconds[level].values() or [ASSUMED[level]])
