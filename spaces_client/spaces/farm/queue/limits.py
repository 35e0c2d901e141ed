"""The limits of a farm, and the messages of its refusals, which name the value and the allowed value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spaces.errors import RefusedError, SpaceChanged
from spaces.farm.payloads.payload import Payload
from spaces.farm.task import Task
from spaces.farm.units import bytes_in_words, seconds_in_words


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of queue lengths, waits, sizes, and of how long outcomes are kept. `inf` is no limit."""

    space_queue: float = 100_000  #: most tasks of one Space that wait
    farm_queue: float = 1_000_000  #: most tasks of all Spaces that wait
    longest_wait: float = 12 * 3600.0  #: seconds after which a task that waits is ended
    payload_bytes: float = 1024**3  #: most bytes of the arguments of one call, including the files that they name
    outcome_lifetime: int = 3600  #: seconds after its end for which the outcome of a task can be read

    @property
    def waited_too_long(self) -> str:
        """The reason for which a task ends that has waited longer than `longest_wait`."""
        return f"it waited longer than {seconds_in_words(self.longest_wait)}, and no task may wait longer in this farm"


#: The names under which refused and expired tasks are counted.
LIMITS = ("size", "payload", "space_queue", "farm_queue", "quota", "longest_wait")

NO_LIMITS = Limits(math.inf, math.inf, math.inf, math.inf)


def size_of(payload: Payload) -> int:
    """Bytes of an encoded value, in the message or in a blob, including the files that are sent with it."""
    inline = len(payload.body) + sum(map(len, payload.buffers))
    blob = payload.blob.size_bytes if payload.blob else 0
    return inline + blob + sum(size_of(copy.content) for copy in payload.files)


def refusal(task: Task, limit: str, facts: Sequence[str]) -> RefusedError:
    """The error for a task that `push.lua` refused, from the limit and the facts that it returned."""
    if limit == "changed":
        return SpaceChanged(f"{task.label} was not queued: Space {task.space!r} has changed. Call again")
    return RefusedError(f"{task.label} was not queued: {_reason(task, limit, facts)}")


def _reason(task: Task, limit: str, facts: Sequence[str]) -> str:
    match limit:
        case "size":
            present = " and ".join(map(repr, facts))
            return f"it needs a GPU of size {str(task.size)!r}, and the workers of this farm serve {present}"
        case "payload":
            size, most = map(float, facts)
            return f"its arguments have {bytes_in_words(size)}, and no more than {bytes_in_words(most)} may be sent"
        case "space_queue":
            return f"{facts[0]} tasks of {task.space} wait, and no more than {facts[1]} may. Try again later"
        case "farm_queue":
            return f"{facts[0]} tasks wait in this farm, and no more than {facts[1]} may. Try again later"
        case "retried":
            return f"task {facts[0]} was retried as task {facts[1]}. If that failed too, retry that"
        case _:
            raise ValueError(
                f"{limit!r} is no limit of this version. Run the same version of zerofarm on client and farm"
            )
