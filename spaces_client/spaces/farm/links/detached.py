"""Tasks whose outcome is kept for a program that asks for it by the task's id."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from spaces.errors import RefusedError
from spaces.farm import wire
from spaces.farm.queue.claiming import read_task
from spaces.farm.queue.queue import Queue
from spaces.farm.task import State, Task, unknown_task

if TYPE_CHECKING:
    from redis.client import Pipeline


def read_detached(queue: Queue, task_id: str) -> Task:
    """The task. Raises RefusedError for one that is unknown, or that has ended and was not detached."""
    name = queue.keys.task(task_id)
    state, packed, kept = cast("list[bytes | None]", queue.redis.hmget(name, "state", "task", "detached"))
    if state is None:
        raise unknown_task(task_id, queue.rules.limits.outcome_lifetime)
    # A failed task has its arguments for an operator's retry, whoever submitted it.
    if packed is None or (State(state.decode()).final and kept is None):
        raise RefusedError(
            f"task {task_id} has ended, and its outcome belongs to the program that submitted it: call "
            "handle.detach() there to read it elsewhere"
        )
    return read_task(packed)


def keep_outcome(queue: Queue, task: Task) -> None:
    """Let a program read the outcome of a task by its id, unless the task is forgotten already."""
    name = queue.keys.task(task.id)

    def mark(pipe: Pipeline) -> None:
        if pipe.exists(name):
            pipe.multi()
            pipe.hset(name, mapping={"detached": 1, "task": wire.pack(task)})

    queue.redis.transaction(mark, name)
