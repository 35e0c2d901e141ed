"""`zerofarm resume`: let the tasks of a paused Space run."""

from __future__ import annotations

from spaces_workers.commands import options
from spaces_workers.commands.queue.known import controls, farm_queue, known_space
from spaces_workers.commands.queue.pause import Space


def resume(space: Space, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Let the tasks of a paused Space run again, from their old places in the queue."""
    with farm_queue(redis_url, state_dir) as queue:
        name = known_space(queue, space)
        print(f"{name} is resumed" if controls(queue).resume(name) else f"{name} was not paused")
