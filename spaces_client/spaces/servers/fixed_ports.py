"""Ports that a script asks for by number, while it runs a second time in a GPU process, and when they are taken.

The web process has the servers of a Space. In a GPU process a server that the script starts before its launch gets a
port that is free, because its own is the web process's, and nobody calls it there.
"""

from __future__ import annotations

import errno
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any

from spaces.servers import page_socket
from spaces.servers.port_holder import holder_of

logger = logging.getLogger(__name__)

_INTERNET = (socket.AF_INET, socket.AF_INET6)


def watch(is_second_run: Callable[[], bool]) -> None:
    """From now on: give sockets other ports while `is_second_run`, and say which process holds a port that is taken."""
    original = socket.socket.bind

    @functools.wraps(original)
    def bind(self: socket.socket, address: Any, /) -> None:  # Any: of any family
        if self.family not in _INTERNET or not address[1]:
            return original(self, address)
        if page_socket.adopt(self, address):
            return None
        if is_second_run():
            logger.warning(_SECOND_RUN, address[1])
            return original(self, (address[0], 0, *address[2:]))
        try:
            return original(self, address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise _taken(error, address[1]) from None

    socket.socket.bind = bind  # type: ignore[method-assign, assignment] # wrapped


_SECOND_RUN = (
    "the script asks for port %d, which its web process has: a script runs in the web process and again for its GPU "
    "functions, where it gets another port that nobody calls. To start a server once, start it after the launch: "
    "launch(prevent_thread_lock=True)"
)


def _taken(error: OSError, port: int) -> OSError:
    return OSError(error.errno, f"{error.strerror}: port {port} is held by {holder_of(port)}")
