"""`zerofarm retry`: run a failed task once more."""

from __future__ import annotations

from spaces.farm.links.retrying import retry as retried
from spaces.farm.queue.control.audit import this_user
from spaces_workers.commands import options
from spaces_workers.commands.queue.known import KnownTask, farm_queue, known_task


def retry(task: KnownTask, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Run a failed task once more, as a new task, whose id is printed. Its visitor is charged for it as for any."""
    with farm_queue(redis_url, state_dir) as queue:
        again = retried(queue, known_task(queue, task), this_user())
    print(f"{again.label} is queued as task {again.id}")
