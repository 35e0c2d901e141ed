"""A message that arrives over a socket in pieces, and takes memory only as its bytes arrive.

The other side may run a Space's code.
"""

from __future__ import annotations

import os
import socket
import struct
from array import array
from collections.abc import Iterator
from typing import Any

from spaces.farm import wire
from spaces.farm.wire import BadMessage

_FD = array("i")

LENGTH = struct.Struct("!I")

#: Bytes of the longest message; ours are shorter, because large values travel as blobs.
LONGEST = 64 * 2**20

#: Bytes that are read at once.
_PIECE = 256 * 1024

#: As plain numbers: to combine flags takes longer than to read a header.
_AT_ONCE = int(socket.MSG_DONTWAIT)
_PEEK_AT_ONCE = int(socket.MSG_DONTWAIT | socket.MSG_PEEK)
_AT_ONCE_WITH_FDS = int(socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)


class SocketEnd(Exception):
    """The other side has closed the socket."""


class Incoming:
    """The next message of a socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._fds: list[int] = []
        self._start_over()

    @property
    def has_begun(self) -> bool:
        """Whether a part of it has arrived."""
        return bool(self._header)

    def is_complete(self, most_fds: int) -> bool:
        """Read the bytes that are there, without waiting. Whether they complete the message.

        The kernel closes descriptors that come with it beyond `most_fds`. Raises SocketEnd, OSError, and BadMessage for
        a length that no message has.
        """
        try:
            return self._has_header(most_fds) and self._has_body()
        except BlockingIOError:
            return False

    def take(self) -> tuple[Any, int | None]:  # Any: the caller matches on the class
        """The complete message and the descriptor that came with it. Raises BadMessage."""
        pieces, fds = self._pieces, self._fds
        message = wire.unpack(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        self._fds = fds[1:]
        self.drop()
        self._start_over()
        return message, fds[0] if fds else None

    def ahead(self, most_bytes: int) -> Iterator[tuple[Any, int]]:  # Any: the caller matches on the class
        """The complete messages among the next bytes, each with the bytes up to its end. None is taken off the socket.

        Raises OSError, BadMessage.
        """
        data, end = self._socket.recv(most_bytes, _PEEK_AT_ONCE), 0
        while len(data) >= (start := end + LENGTH.size):
            (length,) = LENGTH.unpack_from(data, end)
            check_length(length)
            end = start + length
            if end > len(data):
                return
            yield wire.unpack(data[start:end]), end

    def skip(self, count: int) -> None:
        """Take bytes off the socket that `ahead` has read. Raises OSError."""
        while count:
            count -= len(self._socket.recv(count, _AT_ONCE))

    def drop(self) -> None:
        """Close the descriptor that came with a message that is not taken."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def _start_over(self) -> None:
        self._header = b""
        self._pieces: list[bytes] = []
        self._missing = 0

    def _has_header(self, most_fds: int) -> bool:
        if len(self._header) == LENGTH.size:
            return True
        part = self._part_of_header(most_fds)
        if not part:
            raise SocketEnd
        self._header += part
        if len(self._header) < LENGTH.size:
            return False
        (self._missing,) = LENGTH.unpack(self._header)
        check_length(self._missing)
        return True

    def _part_of_header(self, most_fds: int) -> bytes:
        """Like `socket.recv_fds`, which ignores its flags in Python 3.11."""
        room = socket.CMSG_LEN(most_fds * _FD.itemsize) if most_fds else 0
        missing = LENGTH.size - len(self._header)
        part, ancillary, _, _ = self._socket.recvmsg(missing, room, _AT_ONCE_WITH_FDS)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._fds += array("i", data[: len(data) // _FD.itemsize * _FD.itemsize])
        return part

    def _has_body(self) -> bool:
        while self._missing:
            piece = self._socket.recv(min(self._missing, _PIECE), _AT_ONCE)
            if not piece:
                raise SocketEnd
            self._pieces.append(piece)
            self._missing -= len(piece)
        return True


def check_length(length: int) -> None:
    """Raise BadMessage for a length that no message has."""
    if not 0 < length <= LONGEST:
        raise BadMessage(f"a message has 1 to {LONGEST} bytes, got one of {length}")
