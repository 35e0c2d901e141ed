"""Sends messages and file descriptors over a local stream socket: four bytes of length, then the packed message."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from typing import Any

from spaces.farm import wire

_LENGTH = struct.Struct("!I")


class ChannelClosed(ConnectionError):
    """The other side is gone."""


class Channel:
    """One end. Several threads may send; one receives."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._sending = threading.Lock()

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

    def send(self, message: object, fd: int | None = None) -> None:
        """Send a message, with a descriptor if given. Raises ChannelClosed if the other side is gone."""
        data = wire.pack(message)
        header = _LENGTH.pack(len(data))
        try:
            with self._sending:
                if fd is None:
                    self._socket.sendall(header + data if len(data) < 65536 else header)
                else:
                    socket.send_fds(self._socket, [header], [fd])
                if fd is not None or len(data) >= 65536:
                    self._socket.sendall(data)
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def receive(self, timeout: float | None = None) -> Any:  # Any: the caller matches on the class
        """The next message. Raises TimeoutError after `timeout` seconds without one, ChannelClosed at the end."""
        return self.receive_with_fd(timeout)[0]

    def receive_with_fd(self, timeout: float | None = None) -> tuple[Any, int | None]:
        """The next message and the descriptor that came with it; the caller must close that."""
        if timeout is not None and not select.select([self._socket], [], [], timeout)[0]:
            raise TimeoutError
        try:
            header, fds, _, _ = socket.recv_fds(self._socket, _LENGTH.size, 1)
            header += self._exactly(_LENGTH.size - len(header)) if header else b""
            if not header:
                raise ChannelClosed("closed by the other side")
            return wire.unpack(self._exactly(*_LENGTH.unpack(header))), fds[0] if fds else None
        except ChannelClosed:
            raise
        except OSError as error:
            raise ChannelClosed(str(error)) from None

    def close(self) -> None:
        """Close this end; the other side sees the end of the stream."""
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

    def _exactly(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._socket.recv_into(view)
            if not count:
                raise ChannelClosed("closed in the middle of a message")
            view = view[count:]
        return bytes(data)


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
