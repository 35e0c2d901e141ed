"""The state of a task as the broker knows it."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.task import State


@dataclass(frozen=True, slots=True)
class TaskState:
    """The state of a task. Times are the broker's, in seconds since the epoch."""

    state: State
    position: int | None  #: tasks ahead of it, 0 for the next one; None when it does not wait
    attempt: int  #: workers that have taken it so far
    worker: str  #: the worker that runs it, or ended it
    enqueued_at: float
    started_at: float | None
    ended_at: float | None


def task_state(
    state: bytes,
    position: int | None,
    attempt: bytes,
    worker: bytes | None,
    enqueued_at: bytes,
    started_at: bytes | None,
    ended_at: bytes | None,
) -> TaskState:
    """The answer of `state.lua`, field by field."""
    return TaskState(
        state=State(state.decode()),
        position=position,
        attempt=int(attempt),
        worker=(worker or b"").decode(),
        enqueued_at=float(enqueued_at),
        started_at=float(started_at) if started_at else None,
        ended_at=float(ended_at) if ended_at else None,
    )
