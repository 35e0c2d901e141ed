"""Frames of the gateway's protocol: the length of the body, the number of the call, the body.

A page numbers its calls from FIRST_CALL on, and the answer has the number of its call. ONE_WAY has no answer. From the
gateway, EVENT brings an event of a task as the broker published it: task, entry, attempt, the packed event. FAILURE
brings a packed `Undeliverable`.
"""

from __future__ import annotations

import select
import socket
import struct
import time

from spaces.farm.wire import BadMessage

HEADER = struct.Struct("!II")

#: Bytes of the longest body; larger payloads are sent in pieces.
LONGEST = 16 * 2**20

ONE_WAY = EVENT = 0
FAILURE = 1
FIRST_CALL = 2

#: Bytes that are read at once.
_PIECE = 128 * 1024


def frame(number: int, body: bytes) -> bytes:
    """A frame as it is sent. Raises BadMessage for a body that is too long."""
    if len(body) > LONGEST:
        raise BadMessage(f"a message of {len(body)} bytes is too long: it may have {LONGEST}")
    return HEADER.pack(len(body), number) + body


class Frames:
    """Reads the frames of a socket; takes memory only as their bytes arrive."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def next(self, timeout: float | None = None) -> tuple[int, bytes] | None:
        """The next number and body; None after `timeout` seconds without any bytes.

        Raises ConnectionError at the end, OSError, and BadMessage for a length that no frame has.
        """
        while (found := self._complete()) is None:
            if timeout is not None and not self._poll.poll(max(0.0, timeout) * 1000):
                return None
            self._receive()
        return found

    def first(self, patience: float, longest: int) -> tuple[int, bytes] | None:
        """The first frame, of at most `longest` bytes; None unless all of it arrives within `patience` seconds."""
        deadline = time.monotonic() + patience
        while (found := self._complete(longest)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                return None
            self._receive()
        return found

    def _receive(self) -> None:
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise ConnectionError("closed by the other side")
        self._buffer += piece

    def _complete(self, longest: int = LONGEST) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return None
        length, number = HEADER.unpack_from(buffer)
        if length > longest:
            raise BadMessage(f"a frame may have {longest} bytes, got one of {length}")
        end = HEADER.size + length
        if len(buffer) < end:
            return None
        body = bytes(buffer[HEADER.size : end])
        del buffer[:end]
        return number, body
