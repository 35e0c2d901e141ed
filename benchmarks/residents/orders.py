"""What a worker on paper believes of the future; by it children make room."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from benchmarks.residents.children import Clock
from benchmarks.residents.visits import Call
from spaces.farm.demand import Arrivals


class Order(Protocol):
    """Hears of each call, and tells the calls of a Space that it expects in a second."""

    def arrived(self, call: Call) -> None: ...
    def __call__(self, space: str) -> float: ...


#: Makes an order for a clock and the calls to come.
Kind: TypeAlias = Callable[[Clock, Sequence[Call]], Order]


class LongestAgo:
    """Plain LRU: nothing is expected of anybody."""

    def __init__(self, clock: Clock, trace: Sequence[Call]) -> None:
        pass

    def arrived(self, call: Call) -> None: ...

    def __call__(self, space: str) -> float:
        return 0.0


@dataclass
class WorthLeast:
    """The arrivals of each Space, as the broker counts them."""

    clock: Clock
    trace: Sequence[Call]
    known: defaultdict[str, Arrivals] = field(default_factory=lambda: defaultdict(Arrivals))

    def arrived(self, call: Call) -> None:
        self.known[call.name] = self.known[call.name].after_one(call.at)

    def __call__(self, space: str) -> float:
        return self.known[space].rate(self.clock())


class NeededLast:
    """The next call of each Space is known."""

    def __init__(self, clock: Clock, trace: Sequence[Call]) -> None:
        self._clock = clock
        self._moments: defaultdict[str, list[float]] = defaultdict(list)
        for call in trace:
            self._moments[call.name].append(call.at)

    def arrived(self, call: Call) -> None: ...

    def __call__(self, space: str) -> float:
        moments = self._moments[space]
        place = bisect.bisect_right(moments, self._clock())
        return 1.0 / max(1e-3, moments[place] - self._clock()) if place < len(moments) else 0.0


#: By name, for tables.
ORDERS: dict[str, Kind] = {"used longest ago": LongestAgo, "worth least": WorthLeast, "needed last": NeededLast}
