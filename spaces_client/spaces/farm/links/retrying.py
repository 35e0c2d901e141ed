"""Runs a failed task once more, as a new task, for an operator. `zerofarm retry` and the operator's page call this.

The farm keeps the arguments of RETRYABLE failed tasks, as long as their outcomes. Arguments of more than INLINE_BYTES
are deleted when their task ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from spaces.farm.links.recorded_push import push_recorded
from spaces.farm.payloads.payload import INLINE_BYTES
from spaces.farm.queue.claiming import read_task
from spaces.farm.queue.control.audit import Action
from spaces.farm.queue.control.controls import ControlFault
from spaces.farm.queue.counters.bounds import RETRYABLE
from spaces.farm.queue.registry import Registry
from spaces.farm.task import FAILURES, State, Task, unknown_task
from spaces.farm.units import bytes_in_words, seconds_in_words

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue


def retry(queue: Queue, task_id: str, by: str) -> Task:
    """Queue a new task with the arguments of a failed one, for the Space's latest revision, and return it.

    It is ranked and charged as if its visitor had called again, and no caller waits for it: `Farm.task(id)` reads its
    outcome, on any host. Raises ControlFault, RefusedError, also if it was retried before, redis's errors.
    """
    failed, message = _failed(queue, task_id)
    record = Registry(queue.redis, queue.keys).find(failed.space)
    again = replace(
        failed, id=uuid.uuid4().hex, revision=record.revision, only_latest=False, client="", host="", reader=""
    )
    action = Action(by, "retry", failed.id, f"as {again.id}")
    push_recorded(queue, again, message.replace(failed.id.encode(), again.id.encode()), action, failed.id)
    return again


def retryable(queue: Queue) -> list[str]:
    """The tasks that can be retried, the last one first. Raises redis's errors."""
    tasks = [task.decode() for task in cast("list[bytes]", queue.redis.lrange(queue.keys.retryable(), 0, -1))]
    kept, retries = _fields(queue, tasks, "message"), _fields(queue, tasks, "retried")
    states = _fields(queue, [retry.decode() if retry else "" for retry in retries], "state")
    done = [state not in (None, State.CANCELLED.encode()) for state in states]
    return [task for task, message, again in zip(tasks, kept, done, strict=True) if message is not None and not again]


def _fields(queue: Queue, tasks: Sequence[str], field: str) -> list[bytes | None]:
    with queue.redis.pipeline(transaction=False) as pipe:
        for task in tasks:
            pipe.hget(queue.keys.task(task), field)
        return cast("list[bytes | None]", pipe.execute())


def _failed(queue: Queue, task_id: str) -> tuple[Task, bytes]:
    fields = ("state", "task", "message", "whole")
    found = queue.redis.hmget(queue.keys.task(task_id), *fields)
    state, packed, message, whole = cast("list[bytes | None]", found)
    lifetime = queue.rules.limits.outcome_lifetime
    if state is None:
        raise unknown_task(task_id, lifetime)
    if State(state.decode()) not in FAILURES:
        raise ControlFault(f"task {task_id} cannot be retried: its state is {state.decode()!r}, not a failure")
    if packed is not None and message is not None:
        return read_task(packed), message
    if whole is None:
        most = bytes_in_words(INLINE_BYTES)
        raise ControlFault(
            f"the arguments of task {task_id} are gone: larger ones than {most} are deleted at the end, or its process "
            "is of an earlier release"
        )
    raise ControlFault(
        f"the arguments of task {task_id} are gone: the farm keeps those of the latest {RETRYABLE} failed tasks, "
        f"for {seconds_in_words(lifetime)}, or its process is of an earlier release"
    )
