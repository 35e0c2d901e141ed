"""What it costs a worker to begin a task of a Space, in measured seconds, by how much of the Space is here already."""

from __future__ import annotations

from enum import Enum
from statistics import fmean


class Level(Enum):
    """How much of a Space is here, the most first."""

    CHILD = "a child is warm"
    HOST = "its zygote is ready, with the weights in the host's memory"
    UNSEEN = "nothing"


#: Seconds to a ready child that are assumed until a Space of that level was measured.
ASSUMED = {Level.HOST: 1.0, Level.UNSEEN: 10.0}


class SwapCosts:
    """Learns what getting a child ready took, half old, half new, each Space and each level apart.

    Not safe to use from several threads.
    """

    def __init__(self) -> None:
        self._seconds: dict[Level, dict[str, float]] = {level: {} for level in ASSUMED}

    def learn(self, space: str, level: Level, seconds: float) -> None:
        """Note the seconds that it took from this level to a ready child."""
        measured = self._seconds[level]
        measured[space] = (measured.get(space, seconds) + seconds) / 2

    def seconds(self, space: str, level: Level) -> float:
        """Expected seconds to a ready child: this Space's own, or what others took from the same level."""
        return 0.0 if level is Level.CHILD else self._seconds[level].get(space, self.typical(level))

    def typical(self, level: Level) -> float:
        """Expected seconds for a Space that was not measured at this level."""
        return fmean(self._seconds[level].values() or [ASSUMED[level]])
