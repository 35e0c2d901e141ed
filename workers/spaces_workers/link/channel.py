"""Sends messages and file descriptors over a local stream socket: four bytes of length, then the packed message.

The other side may run a Space's code: a message has a limited length, and must be complete soon after its first byte.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from spaces.farm import wire
from spaces.farm.wire import BadMessage
from spaces_workers.link.incoming import LENGTH, Incoming, SocketEnd, check_length

#: Seconds from the first byte of a message to its last.
PATIENCE = 10.0

#: Bytes of the messages that are read together.
TOGETHER_BYTES = 64 * 1024


class ChannelClosed(ConnectionError):
    """The other side is gone. `unread`: it has not read all that was sent to it."""

    def __init__(self, reason: str, *, unread: bool = False) -> None:
        super().__init__(reason)
        self.unread = unread


class Garbled(ChannelClosed):
    """The other side sent bytes that are no message, or not all of one, and is heard no more."""


class Channel:
    """One end. Several threads may send; one receives."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._sending = threading.Lock()
        self._incoming = Incoming(sock)

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends that are connected."""
        left, right = socket.socketpair()
        return cls(left), cls(right)

    @classmethod
    def from_fd(cls, fd: int) -> Channel:
        """The end with this descriptor, inherited from the parent process or received with a message."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, *messages: object, fd: int | None = None) -> None:
        """Send messages, which arrive together if they are short; with a descriptor if given.

        Raises ChannelClosed if the other side is gone, BadMessage for a message that is too long.
        """
        data = b"".join(_framed(message) for message in messages)
        try:
            with self._sending:
                if fd is not None:
                    socket.send_fds(self._socket, [data[: LENGTH.size]], [fd])
                    data = data[LENGTH.size :]
                self._socket.sendall(data)
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def limit_sending(self, seconds: float) -> None:
        """From now on, another side that does not read for so long counts as gone."""
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def receive(self, timeout: float | None = None) -> Any:  # Any: the caller matches on the class
        """The next message.

        Raises TimeoutError after `timeout` seconds without one, ChannelClosed at the end, and Garbled.
        """
        return self._received(timeout, 0)[0]

    def receive_with_fd(self, timeout: float | None = None) -> tuple[Any, int | None]:
        """Like `receive`, with the descriptor that came with the message; the caller must close that."""
        return self._received(timeout, 1)

    def receive_arrived(self) -> Any:  # Any: the caller matches on the class
        """Like `receive`, but without waiting: None if the message is not complete yet."""
        arrived = self._arrived(0)
        return None if arrived is None else arrived[0]

    def receive_more(self, most: int, is_last: Callable[[object], bool]) -> list[Any]:
        """The messages that have arrived, of TOGETHER_BYTES, at most so many, and none behind a last one.

        Two system calls for all. A message that is not complete, or that is none, stays for `receive`.
        """
        found: list[tuple[Any, int]] = []
        with suppress(BadMessage, OSError):
            for message, end in self._incoming.ahead(TOGETHER_BYTES):
                found.append((message, end))
                if len(found) == most or is_last(message):
                    break
        if found:
            self._incoming.skip(found[-1][1])
        return [message for message, _ in found]

    def receive_arrived_with_fd(self) -> tuple[Any, int | None] | None:
        """Like `receive_with_fd`, but without waiting: None if the message is not complete yet."""
        return self._arrived(1)

    def close(self) -> None:
        """Close this end; the other side sees the end of the stream."""
        self._incoming.drop()
        self._socket.close()

    @property
    def is_closed(self) -> bool:
        """Whether the other side is gone and has left no message."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def abandon(self) -> None:
        """Shut the connection down for both sides, from any thread, so that a receiver wakes up."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _received(self, timeout: float | None, most_fds: int) -> tuple[Any, int | None]:
        if not self._incoming.has_begun and not self._is_readable(timeout):
            raise TimeoutError
        deadline = time.monotonic() + PATIENCE
        while (arrived := self._arrived(most_fds)) is None:
            if not self._is_readable(deadline - time.monotonic()):
                raise self._garbled(f"it did not complete a message within {PATIENCE:g} s")
        return arrived

    def _arrived(self, most_fds: int) -> tuple[Any, int | None] | None:
        try:
            return self._incoming.take() if self._incoming.is_complete(most_fds) else None
        except BadMessage as error:
            raise self._garbled(str(error)) from None
        except SocketEnd:
            where = "in the middle of a message" if self._incoming.has_begun else "by the other side"
            raise ChannelClosed(f"closed {where}") from None
        except ConnectionResetError as error:  # Linux says so of a local socket that is closed with unread bytes
            raise ChannelClosed(str(error), unread=True) from None
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def _is_readable(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))

    def _garbled(self, reason: str) -> Garbled:
        self._incoming.drop()
        self.abandon()
        return Garbled(reason)


def _framed(message: object) -> bytes:
    data = wire.pack(message)
    check_length(len(data))
    return LENGTH.pack(len(data)) + data


class Bell:
    """Wakes a thread that waits in `select`, after something was put into its queue."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._fd

    def ring(self) -> None:
        os.eventfd_write(self._fd, 1)

    def silence(self) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            pass

    def close(self) -> None:
        os.close(self._fd)
