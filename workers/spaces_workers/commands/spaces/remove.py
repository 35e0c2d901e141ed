"""`zerofarm remove`: serve a Space no more."""

from __future__ import annotations

from spaces_workers.commands import options
from spaces_workers.commands.spaces.asking import Space, ask


def remove(space: Space, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Serve a Space no more: its page and its waiting tasks end, its kept revisions are deleted, its own data stay."""
    ask(state_dir, "remove", space=space)
    print(f"{space} is removed")
