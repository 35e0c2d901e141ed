"""`zerofarm pause`: let the tasks of a Space wait."""

from __future__ import annotations

from typing import Annotated

import typer

from spaces_workers.commands import options
from spaces_workers.commands.queue.known import controls, farm_queue, known_space

Space = Annotated[str, typer.Argument(metavar="SPACE", help="The name of a Space, as in `zerofarm status`.")]


def pause(space: Space, redis_url: options.RedisUrl = None, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Let the tasks of a Space wait until it is resumed; its visitors are told. Tasks that run go on."""
    with farm_queue(redis_url, state_dir) as queue:
        name = known_space(queue, space)
        changed = controls(queue).pause(name)
        print(f"{name} is paused; {queue.waiting(name)} tasks wait" if changed else f"{name} was paused already")
