"""How soon a worker can begin a task of each Space: the seconds until it has a ready child.

A worker sends it with each claim. The claim takes the task with the lowest sum of score and seconds, so a task of a
cold Space waits at most its own seconds longer than by rank alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgpack

#: The most Spaces that a claim considers one by one, the warmest; others count as never seen. Limits the script's cost.
MOST_KNOWN = 32


@dataclass(frozen=True, slots=True)
class Warmth:
    """`Warmth({"chat": 0.0, "digits": 0.4}, unseen=6.5)`: chat has a child, digits a zygote, others take 6.5 s.

    A Space that takes longer than an unseen one counts as unseen.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    unseen: float = 0.0

    def packed(self) -> tuple[bytes, float]:
        """The arguments for `claim.lua`: the warmest Spaces, and the seconds of any other."""
        warmest = sorted(self.seconds.items(), key=lambda known: known[1])[:MOST_KNOWN]
        return msgpack.packb(dict(warmest)), self.unseen


#: The warmth of a worker to which all Spaces are equal.
INDIFFERENT = Warmth()
