"""Chooses the child that makes room: the one whose room is worth least to its Space.

It is worth the seconds that the Space's next call would wait longer without it, times the calls that are expected in a
second, for each byte. Without any calls known, the child that was used longest ago goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping

from spaces.farm.queue.rules import SpaceRules
from spaces_workers.worker.child_link import ChildLink


class Demand:
    """The calls of each Space that are expected in a second, as this worker heard last. Safe to use from any thread."""

    def __init__(self) -> None:
        self._rates: Mapping[str, float] = {}

    def hear(self, rates: Mapping[str, float]) -> None:
        """Replace all that is known."""
        self._rates = rates

    def __call__(self, space: str) -> float:
        """Calls of a Space in a second; 0 if none is known."""
        return self._rates.get(space, 0.0)


class Pins:
    """The Spaces that operators have pinned, as this worker heard last. Safe to use from any thread."""

    def __init__(self) -> None:
        self._spaces: Collection[str] = ()

    def hear(self, spaces: Collection[str]) -> None:
        """Replace all that is known."""
        self._spaces = spaces

    def __contains__(self, space: object) -> bool:
        return space in self._spaces


class Eviction:
    """The order in which children make room."""

    def __init__(
        self,
        demand: Callable[[str], float] = lambda _: 0.0,
        rules: Callable[[str], SpaceRules] = lambda _: SpaceRules(),
        pins: Container[str] = (),
    ) -> None:
        self.demand = demand
        self._rules = rules
        self._pins = pins

    def order(
        self, children: Collection[ChildLink], waits: Callable[[ChildLink], float], room: Callable[[ChildLink], int]
    ) -> list[ChildLink]:
        """These children, the first to go first.

        `waits` has the seconds that the next call would wait longer, `room` the bytes that would be free.
        """

        def worth(child: ChildLink) -> tuple[float, float]:
            return self.demand(child.spec.space) * waits(child) / max(1, room(child)), child.used_at

        return sorted(children, key=worth)

    def spares(self, child: ChildLink, space: str) -> bool:
        """Whether a child stays as long as a task of `space` can begin without its room."""
        mine, other = self._rules(child.spec.space), self._rules(space)
        return mine.pin or child.spec.space in self._pins or (mine.group != "" and mine.group == other.group)
