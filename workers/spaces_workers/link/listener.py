"""A unix socket that a server of this host listens at, for its own user and root alone."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

#: Callers that may wait for a server that does not accept yet.
BACKLOG = 128

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
    """The next connection; None if another user has made it, which the folders of a farm should not have let in."""
    sock, _ = listener.accept()
    if peer_uid(sock) in (os.getuid(), 0):
        return sock
    sock.close()
    return None


def peer_uid(sock: socket.socket) -> int:
    """The user whose process has connected."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(credentials)[1])
