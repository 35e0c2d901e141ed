"""`zerofarm cancel`: stop a task."""

from __future__ import annotations

from spaces.errors import SpacesError
from spaces.farm.connection import connect
from spaces.farm.queue.control.audit import Action, Audit, this_user
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces_workers.commands import options
from spaces_workers.commands.broker_errors import naming_broker
from spaces_workers.commands.queue.known import KnownTask, known_task

REASON = "cancelled by the operator"


def cancel(
    task: KnownTask,
    redis_url: options.RedisUrl = None,
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Stop a waiting or running task."""
    url = options.broker_url(redis_url, state_dir)
    with connect(url) as redis, naming_broker(url):
        queue = Queue(redis)
        task_id = known_task(queue, task)
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
