"""`zerofarm unpin`: let a pinned Space make room for others."""

from __future__ import annotations

from spaces_workers.commands import options
from spaces_workers.commands.queue.known import controls, farm_queue, known_space
from spaces_workers.commands.queue.pause import Space


def unpin(space: Space, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Let a pinned Space make room for others again. What `farm.toml` pins is unpinned there."""
    with farm_queue(redis_url, state_dir) as queue:
        name = known_space(queue, space)
        changed = controls(queue).unpin(name)
    print(f"{name} is not pinned any more" if changed else f"{name} was not pinned by an operator; farm.toml may do so")
