"""Turns the end of a task into the caller's value, or into an error that names the cause and the remedy."""

from __future__ import annotations

from typing import Any, assert_never

from spaces.errors import ChildCrashed, QueueTimeout, TaskCancelled, TaskLost, TimeLimitExceeded
from spaces.farm.events import Cancelled, Crashed, End, Expired, Failed, Lost, Succeeded, TimedOut
from spaces.farm.payloads.packer import Packer
from spaces.farm.task import Task
from spaces.farm.values.failure import rebuild


def outcome(task: Task, end: End, packer: Packer) -> Any:  # Any: what the function returned
    """The value of a successful task; raises for every other end."""
    match end:
        case Succeeded(value):
            return packer.take(value)
        case Failed():
            raise rebuild(end, packer.codec)
        case Cancelled(reason):
            raise TaskCancelled(f"{task.label} was cancelled: {reason}")
        case Expired(reason):
            raise QueueTimeout(f"{task.label} was cancelled: {reason}")
        case TimedOut(hung_for=hung_for, time_limit=limit) if hung_for > 0:
            raise TimeLimitExceeded(
                f"{task.label} hung: for the last {hung_for:.0f} s or more it computed nothing and waited for another "
                f"thread, until its {limit:g} s were over. The log of the Space says where"
            )
        case TimedOut(seconds, limit):
            raise TimeLimitExceeded(
                f"{task.label} was stopped after {seconds:.0f} s: it asked for {limit:g} s. "
                "Raise @spaces.GPU(duration=...)"
            )
        case Crashed(reason):
            raise ChildCrashed(f"{task.label} crashed: its process {reason}. The log of the Space may say why")
        case Lost(attempts):
            raise TaskLost(f"{task.label} was lost: {attempts} workers died while they ran it")
        case _:
            assert_never(end)
