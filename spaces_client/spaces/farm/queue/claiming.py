"""What `claim.lua` is given and what it answers, for `Queue.claim` and for those who wait for the answer themselves."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgpack

from spaces.farm import wire
from spaces.farm.events import Started
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease

#: Of `claim.lua`: a task with all that belongs to it, or when to claim again, or nothing.
Reply: TypeAlias = "Sequence[bytes | int] | bytes | None"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that a worker has taken."""

    lease: Lease
    message: bytes  #: Celery's message, as it was pushed
    size: str  #: of the queue that it stood in


def arguments(
    rules: Rules,
    worker: str,
    sizes: Sequence[str],
    warmth: Warmth,
    in_hand: Collection[str] | None,
    hold: float,
    device: str = "",
) -> list[str | bytes | float]:
    """The arguments of `claim.lua`, of which `Queue.claim` says what they mean."""
    in_hand_packed = b"" if in_hand is None else msgpack.packb(list(in_hand))
    sizes_packed = msgpack.packb(list(sizes))
    started = wire.pack(Started(worker, device)) if device else b""
    return [worker, rules.worker_lease, sizes_packed, *warmth.packed(), in_hand_packed, hold, started]


def moment(reply: Reply) -> float:
    """After how many seconds to claim again, by the answer of `claim.lua`, if no bell rings before; may be infinite."""
    return max(0.001, float(reply)) if isinstance(reply, bytes) else math.inf
