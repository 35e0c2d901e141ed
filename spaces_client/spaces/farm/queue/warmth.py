"""How soon a worker could begin a task: seconds to a ready child, for each Space that is known where the worker runs.

A worker tells it with each claim. The claim takes the task with the lowest sum of score and seconds, so a task that is
cold somewhere waits there at most its own seconds longer than by rank alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgpack

#: Spaces that a claim looks at one by one, the warmest; the rest counts as never seen. Keeps the script's cost small.
MOST_KNOWN = 32


@dataclass(frozen=True, slots=True)
class Warmth:
    """`Warmth({"chat": 0.0, "digits": 0.4}, unseen=6.5)`: chat has a child, digits a zygote, others would cost 6.5 s.

    A Space that costs more than one never seen counts as never seen.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    unseen: float = 0.0

    def packed(self) -> tuple[bytes, float]:
        """As `claim.lua` takes it: the warmest Spaces, and what any other one costs."""
        warmest = sorted(self.seconds.items(), key=lambda known: known[1])[:MOST_KNOWN]
        return msgpack.packb(dict(warmest)), self.unseen


#: A worker that makes no difference between Spaces.
INDIFFERENT = Warmth()
