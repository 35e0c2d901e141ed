"""A unix socket that a server of this host listens at, for its own user and root alone."""

from __future__ import annotations

import logging
import os
import socket
import struct
import time
from pathlib import Path

logger = logging.getLogger(__name__)

#: Callers that may wait for a server that does not accept yet.
BACKLOG = 128

#: Seconds until the next attempt to accept a connection.
PAUSE = 0.5

#: The kernel's `struct ucred`: process, user, group.
_CREDENTIALS = struct.Struct("3i")


def listen(path: Path) -> socket.socket:
    """Listen at `path`, in the place of whatever was there."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(BACKLOG)
    return listener


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection; None if it cannot be accepted now, as where no descriptor is left.

    None also if another user has made it, which the folders of a farm should not have let in.
    """
    try:
        sock, _ = listener.accept()
    except OSError as error:
        logger.warning("a connection was not accepted: %s", error)
        time.sleep(PAUSE)  # the connection that could not be accepted still waits
        return None
    if peer_uid(sock) in (os.getuid(), 0):
        return sock
    sock.close()
    return None


def peer_uid(sock: socket.socket) -> int:
    """The user whose process has connected."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])
