"""Queues a task for an operator, so that none runs which is not recorded, and none whose operator heard of an error."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from redis import RedisError

from spaces.errors import RefusedError
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.task import Task

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue


def push_recorded(queue: Queue, task: Task, message: bytes, action: Action, retried: str = "") -> None:
    """Record an operator's action, then queue its task. `retried` has the id of the failed task that it runs again.

    Raises RefusedError, which is recorded too, and redis's errors; then nothing was queued.
    """
    audit = Audit(queue.redis, queue.keys)
    audit.note(action)
    try:
        queue.push(task, message, retried)
    except RefusedError as error:
        audit.note(replace(action, detail=f"refused: {error}"))
        raise
    except BaseException:  # the broker may have executed the push, though its answer was lost
        with suppress(RedisError):
            queue.withdraw(task.id)
        raise
