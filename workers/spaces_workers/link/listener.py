"""A unix socket that a server of this host listens at, for its own user alone."""

from __future__ import annotations

import socket
from pathlib import Path

#: Callers that may wait for a server that does not accept yet.
BACKLOG = 128


def listen(path: Path) -> socket.socket:
    """Listen at `path`, in the place of whatever was there."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(BACKLOG)
    return listener
