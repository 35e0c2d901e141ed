"""Runs a failed task once more, as a new task, for an operator. `zerofarm retry` and the operator's page call this.

The farm keeps the arguments of RETRYABLE failed tasks, as long as their outcomes. Arguments of more than INLINE_BYTES
are deleted when their task ends.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from spaces.farm.links.detached import keep_outcome
from spaces.farm.payloads.payload import INLINE_BYTES
from spaces.farm.queue.claiming import read_task
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.control.controls import ControlFault
from spaces.farm.queue.counters.bounds import RETRYABLE
from spaces.farm.queue.registry import Registry
from spaces.farm.task import FAILURES, LOAD, State, Task, unknown_task
from spaces.farm.units import bytes_in_words, seconds_in_words
from spaces.farm.version import VERSION

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue


def retry(queue: Queue, task_id: str, by: str) -> Task:
    """Queue a new task with the arguments of a failed one, for the Space's latest revision, and return it.

    It is ranked and charged as if its visitor had called again, and no caller waits for it: `Farm.task(id)` reads its
    outcome. Raises ControlFault, RefusedError, redis's errors.
    """
    failed, message = _failed(queue, task_id)
    record = Registry(queue.redis, queue.keys).find(failed.space)
    if failed.function not in {LOAD, *(each.name for each in record.functions)}:
        raise ControlFault(f"{failed.space} has no function {failed.function} any more")
    again = replace(failed, id=uuid.uuid4().hex, revision=record.revision, client="", reader="", version=VERSION)
    queue.push(again, message.replace(failed.id.encode(), again.id.encode()))
    keep_outcome(queue, again)
    Audit(queue.redis, queue.keys).note(Action(by, "retry", failed.id, f"as {again.id}"))
    return again


def retryable(queue: Queue) -> list[str]:
    """The tasks that can be retried, the last one first. Raises redis's errors."""
    tasks = [task.decode() for task in cast("list[bytes]", queue.redis.lrange(queue.keys.retryable(), 0, -1))]
    with queue.redis.pipeline(transaction=False) as pipe:
        for task in tasks:
            pipe.hexists(queue.keys.task(task), "message")
        return [task for task, kept in zip(tasks, pipe.execute(), strict=True) if kept]


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
        raise ControlFault(f"the arguments of task {task_id} are gone: larger ones than {most} are deleted at the end")
    raise ControlFault(
        f"the arguments of task {task_id} are gone: the farm keeps those of the latest {RETRYABLE} failed tasks, "
        f"for {seconds_in_words(lifetime)}"
    )
