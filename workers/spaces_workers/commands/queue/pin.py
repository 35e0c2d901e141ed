"""`zerofarm pin`: let a Space keep its room on a GPU."""

from __future__ import annotations

from spaces_workers.commands import options
from spaces_workers.commands.queue.known import controls, farm_queue, known_space
from spaces_workers.commands.queue.pause import Space


def pin(space: Space, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Let a Space keep its room on a GPU, until a task of another Space could not begin at all otherwise."""
    with farm_queue(redis_url, state_dir) as queue:
        name = known_space(queue, space)
        print(f"{name} is pinned" if controls(queue).pin(name) else f"{name} was pinned already")
