"""The tasks that have ended lately, as the broker remembers them: their times, and what they ended with.

The broker keeps about HISTORY of them, over restarts of all parts of the farm. Neither arguments nor results are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgpack

from spaces.farm import wire
from spaces.farm.events import Cancelled, Crashed, Expired, Failed, Lost, TimedOut
from spaces.farm.queue.keys import Keys

if TYPE_CHECKING:
    from redis import Redis


#: Seconds of a swap above which a task's child was not warm.
COLD = 0.05


@dataclass(frozen=True, slots=True)
class Facts:
    """A task that has ended. Times are the broker's, in seconds since the epoch; spans are seconds."""

    id: str
    label: str
    space: str
    size: str
    state: str
    worker: str  #: its name in Celery; empty if no worker had it
    attempt: int
    visitor: str
    enqueued_at: float
    started_at: float | None
    ended_at: float
    swap: float | None  #: None if its function never began
    run: float | None
    reason: str  #: who cancelled it
    error: str = ""  #: in a line
    traceback: str = ""
    trace: str = ""  #: of `task_traces.note`

    @property
    def wait(self) -> float:
        """Seconds until a worker took it, or until its end if none did."""
        return (self.started_at or self.ended_at) - self.enqueued_at

    @property
    def is_cold(self) -> bool:
        """Whether a child had to be made, or woken, for it."""
        return self.swap is not None and self.swap > COLD

    @property
    def overhead(self) -> float:
        """Seconds on a worker in which neither a child was made nor the function ran."""
        if self.started_at is None or self.swap is None or self.run is None:
            return 0.0
        return max(0.0, self.ended_at - self.started_at - self.swap - self.run)


def read_history(redis: Redis, keys: Keys, most: int) -> list[Facts]:
    """The latest ended tasks, the last first. Raises redis's errors."""
    found = cast(list[tuple[bytes, dict[bytes, bytes]]], redis.xrevrange(keys.history(), count=most))
    return [facts_of(fields) for _, fields in found]


def facts_of(entry: Mapping[bytes, bytes]) -> Facts:
    """The facts of a task, from its entry in the history."""
    fields: list[Any] = msgpack.unpackb(entry[b"t"], raw=True)  # Any: texts and numbers, as lib.lua has them
    task_id, label, space, size, state, worker, attempt, visitor, queued, started, ended, swap, run, reason = (
        field.decode(errors="replace") if isinstance(field, bytes) else field for field in fields
    )
    error, traceback = _said(entry[b"e"])
    return Facts(
        id=task_id,
        label=label,
        space=space,
        size=size,
        state=state,
        worker=worker.split(":")[0],
        attempt=int(attempt),
        visitor=visitor,
        enqueued_at=float(queued),
        started_at=_number(started),
        ended_at=float(ended),
        swap=_number(swap),
        run=_number(run),
        reason=reason,
        error=error,
        traceback=traceback,
        trace=entry.get(b"x", b"").decode(errors="replace"),
    )


def _said(event: bytes) -> tuple[str, str]:
    """The error of a last event, in a line, and its traceback; both empty for one that this version cannot read."""
    with suppress(wire.BadMessage):
        if event:
            end = wire.unpack(event)
            return in_words(end), end.traceback if isinstance(end, Failed) else ""
    return "", ""


def in_words(end: object) -> str:
    """The error of a last event, in a line; empty if there is none."""
    match end:
        case Failed(type_name=name, text=text):
            return f"{name.rpartition('.')[2]}: {text}"
        case Cancelled(reason=reason) | Expired(reason=reason):
            return reason
        case Crashed(reason=reason):
            return f"its process {reason}"
        case TimedOut(seconds=seconds, time_limit=limit):
            return f"stopped after {seconds:.1f} s, with a time limit of {limit:g} s"
        case Lost(attempts=attempts):
            return f"{attempts} workers died with it"
        case _:
            return ""


def _number(value: str | float) -> float | None:
    return None if value == "" else float(value)
