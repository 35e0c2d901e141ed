"""The socket of a Space's page, made by `zerofarm up`: it stays open while no page runs, and visitors wait in it.

The page gets it as a descriptor. The first server that is to listen at its port uses it in place of its own socket.
"""

from __future__ import annotations

import os
import socket
from typing import Any
from weakref import WeakSet

#: The descriptor of the page's socket, for a process that was not forked from one of ours.
VARIABLE = "ZEROFARM_PAGE_SOCKET"

_given: socket.socket | None = None
_users: WeakSet[socket.socket] = WeakSet()


def inherit(fd: int) -> None:
    """Use this descriptor for the page; it must be of a bound TCP socket, else it is left alone."""
    global _given
    try:
        found = socket.socket(fileno=fd)
        found.getsockname()
    except OSError:
        return  # a process that was started in between has closed it, and another file may have its number
    os.set_inheritable(fd, False)
    _given = found


def inherit_named() -> None:
    """The same, if the environment names a descriptor."""
    named = os.environ.pop(VARIABLE, "")
    if named.isdigit():
        inherit(int(named))


def adopt(server: socket.socket, address: Any) -> bool:  # Any: of any family
    """Make `server` the page's socket instead of binding it, if it is to listen where that is bound."""
    if _given is None or not _is_for(_given, server, address) or any(each.fileno() >= 0 for each in _users):
        return False
    os.dup2(_given.fileno(), server.fileno(), inheritable=False)
    server.settimeout(server.gettimeout())  # whether it blocks is a property of the shared socket
    mark_as_taken(server, taken=True)
    _users.add(server)
    return True


def mark_as_taken(shared: socket.socket, *, taken: bool) -> None:
    """Tell all who have the socket whether a page listens at it: by a flag of TCP that they can all read."""
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(taken))


def is_taken(shared: socket.socket) -> bool:
    """Whether a page listens at it, or did when it ended."""
    return bool(shared.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


def _is_for(ours: socket.socket, server: socket.socket, address: Any) -> bool:
    return (server.family, server.type) == (ours.family, ours.type) and address[1] == ours.getsockname()[1]
