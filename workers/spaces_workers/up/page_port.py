"""The port of a Space's page. It outlives the page: visitors wait in its queue while no page runs, and none is refused.

The page gets the socket when it starts (`spaces.servers.page_socket`). A page that listens in a way that cannot use it
gets the port all the same, because until then the socket is only bound. Such a Space is not stopped while it is idle.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from contextlib import suppress

from spaces.servers import page_socket
from spaces_workers.up.addresses import local

#: A filter of packets that lets none through: the instruction `ret #0`. See socket(7), and bpf in <linux/filter.h>.
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # from <asm-generic/socket.h>

#: Visitors that can wait.
BACKLOG = 1024


class PagePort:
    """One Space's port, from the start of the farm until its end. Raises OSError if it is taken."""

    def __init__(self, host: str, port: int, key: bytes = b"") -> None:
        self._address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.number = port
        self.key = key  #: the Space's, with which its page is told where a request came from
        self.local = (local(host), port)  #: where this host reaches the page
        self._socket = self._bound()

    def fileno(self) -> int:
        """The descriptor that the page inherits."""
        return self._socket.fileno()

    @property
    def is_taken(self) -> bool:
        """Whether a page listens at it by this socket."""
        return page_socket.is_taken(self._socket)

    def listen(self) -> None:
        """Let visitors wait, or be accepted by this process."""
        page_socket.mark_as_taken(self._socket, taken=False)
        self._socket.listen(BACKLOG)

    def accept(self) -> tuple[socket.socket, str]:
        """The next visitor, and the address that it came from. Raises BlockingIOError if none waits."""
        self._socket.setblocking(False)
        visitor, address = self._socket.accept()
        return visitor, address[0]

    def unlisten(self) -> None:
        """Let others listen at the port, for the first page, which may not use this socket."""
        self._socket.close()
        self._socket = self._bound()

    def shut(self) -> None:
        """Let nobody in. Clients try again, after a second and later; nobody is refused, and open connections stay."""
        program = ctypes.create_string_buffer(_DROP_ALL)
        pointer = struct.pack("HL", len(_DROP_ALL) // 8, ctypes.addressof(program))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)

    def open(self) -> None:
        """Let visitors in again."""
        with suppress(FileNotFoundError):  # it was not shut
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, b"\0\0\0\0")

    def close(self) -> None:
        """Give it up. Who waits is refused."""
        self._socket.close()

    def _bound(self) -> socket.socket:
        family, kind, protocol, _, address = self._address
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
        return bound
