"""`zerofarm undrain`: let a drained worker take tasks."""

from __future__ import annotations

from spaces_workers.commands import options
from spaces_workers.commands.queue.drain import Worker
from spaces_workers.commands.queue.known import controls, farm_queue, known_worker


def undrain(
    worker: Worker, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR
) -> None:
    """Let a drained worker take tasks again."""
    with farm_queue(redis_url, state_dir) as queue:
        node = known_worker(queue, worker)
        print(f"{node} takes tasks again" if controls(queue).undrain(node) else f"{node} was not drained")
