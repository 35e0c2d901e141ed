"""`zerofarm restart`: start the processes of a Space anew."""

from __future__ import annotations

from spaces_workers.commands import options
from spaces_workers.commands.spaces.asking import Space, ask


def restart(space: Space, state_dir: options.StateDir = options.STATE_DIR) -> None:
    """Start the page of a Space anew, and its processes on workers. Visitors wait meanwhile; open pages reconnect."""
    ask(state_dir, "restart", space=space)
    print(f"{space} is restarted")
