"""`zerofarm cancel`: stop a task."""

from __future__ import annotations

from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces.farm.connection import connect
from spaces.farm.queue.control.audit import Action, Audit, this_user
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.status import StatusReader
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker

REASON = "cancelled by the operator"


def cancel(
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="A task's id, or its first characters; see `zerofarm status`.")
    ],
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Stop a waiting or running task."""
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, naming_broker(url):
        queue = Queue(redis)
        task_id = _only(task, StatusReader(queue).task_ids(task.lower()))
        outcome = queue.cancel(task_id, REASON)
        Audit(redis).note(Action(this_user(), "cancel", task_id, outcome))
    match outcome:
        case CancelOutcome.REMOVED:
            print(f"{task_id} was waiting and is removed")
        case CancelOutcome.TOLD:
            print(f"{task_id} is running; its worker was told to stop it")
        case CancelOutcome.ENDED:
            raise SpacesError(f"task {task_id} had ended before")
        case CancelOutcome.UNKNOWN:
            raise SpacesError(f"the farm does not know task {task_id} any more")


def _only(beginning: str, ids: list[str]) -> str:
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise SpacesError(f"the farm knows no task {beginning!r}: see `zerofarm status` for its tasks")
    raise SpacesError(f"{len(ids)} tasks begin with {beginning!r}: give more of the id")
