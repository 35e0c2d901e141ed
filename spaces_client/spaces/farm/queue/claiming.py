"""The arguments and the answer of `claim.lua`, for `Queue.claim` and for the transport, which awaits the answer."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgpack

from spaces.farm import wire
from spaces.farm.events import Failed, Started
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease, Task
from spaces.farm.version import VERSION, check_version

#: The answer of `claim.lua`: a task with its fields, or the seconds after which to claim again, DRAINED, or nothing.
Reply: TypeAlias = "Sequence[bytes | int] | bytes | None"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that a worker has taken."""

    lease: Lease
    message: bytes  #: Celery's message, as it was pushed
    size: str  #: of the queue that it was in


def arguments(
    rules: Rules,
    worker: str,
    sizes: Sequence[str],
    warmth: Warmth,
    in_hand: Collection[str] | None,
    hold: float,
    device: str = "",
) -> list[str | bytes | float]:
    """The arguments of `claim.lua`; `Queue.claim` explains them."""
    in_hand_packed = b"" if in_hand is None else msgpack.packb(list(in_hand))
    sizes_packed = msgpack.packb(list(sizes))
    started = wire.pack(Started(worker, device, VERSION)) if device else b""
    return [worker, rules.worker_lease, sizes_packed, *warmth.packed(), in_hand_packed, hold, started]


#: The answer to a worker that is to take no task.
DRAINED = b"drained"


def found_nothing(reply: Reply) -> bool:
    """Whether this answer of `claim.lua` has no task."""
    return reply is None or isinstance(reply, bytes)


def moment(reply: Reply) -> float:
    """Seconds after which to claim again if no bell rings before, from the answer of `claim.lua`; may be infinite."""
    return max(0.001, float(reply)) if isinstance(reply, bytes) and reply != DRAINED else math.inf


def read_task(packed: bytes) -> Task:
    """Decode a task. Raises BadMessage, and RefusedError for one of a version that is no neighbour."""
    task = wire.unpack_as(Task, packed)
    check_version(f"a task of Space {task.space!r}", task.version)
    return task


def unreadable(error: Exception) -> Failed:
    """The end of a task that was not run, because `read_task` raised this."""
    return Failed(f"{type(error).__module__}.{type(error).__name__}", str(error), traceback="")
