"""Sends to one page: at once if the page reads, else from a bounded buffer, as the page takes it.

A page that leaves more unread than the buffer holds is disconnected. It connects again and asks for what it missed.
"""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from contextlib import suppress

from spaces_workers.link.channel import Bell

#: Bytes that wait for one page.
MOST_BYTES = 4 * 2**20


class Outlet:
    """The sending side of one connection. Any thread may send; none ever waits for the page."""

    def __init__(self, sock: socket.socket, drains: Drains) -> None:
        self._socket = sock
        self._drains = drains
        self._lock = threading.Lock()
        self._waiting: deque[memoryview] = deque()
        self._bytes = 0
        self._is_closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Send a frame, now or as soon as the page reads."""
        with self._lock:
            if self._is_closed:
                return
            rest = memoryview(data)
            if not self._waiting:
                rest = rest[self._sent(rest) :]
                if not rest or self._is_closed:
                    return
                self._drains.add(self)
            self._waiting.append(rest)
            self._bytes += len(rest)
            if self._bytes > MOST_BYTES:
                self._close()

    def drain(self) -> bool:
        """Send what waits, as far as the page reads. Whether nothing is left."""
        with self._lock:
            while self._waiting and not self._is_closed:
                rest = self._waiting.popleft()
                sent = self._sent(rest)
                self._bytes -= sent
                if sent < len(rest):
                    self._waiting.appendleft(rest[sent:])
                    break
            return self._is_closed or not self._waiting

    def close(self) -> None:
        """Disconnect the page."""
        with self._lock:
            self._close()

    def _sent(self, data: memoryview) -> int:
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            self._close()
            return 0

    def _close(self) -> None:
        self._is_closed = True
        self._waiting.clear()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # its session sees the end


class Drains:
    """One thread that sends what waits for slow pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slow: dict[int, Outlet] = {}
        self._bell = Bell()
        threading.Thread(target=self._run, name="drains", daemon=True).start()

    def add(self, outlet: Outlet) -> None:
        """Watch an outlet until nothing of it waits."""
        with self._lock:
            self._slow[outlet.fileno()] = outlet
        self._bell.ring()

    def remove(self, outlet: Outlet) -> None:
        """Forget an outlet, before its socket is closed."""
        with self._lock:
            self._slow.pop(outlet.fileno(), None)
        self._bell.ring()

    def _run(self) -> None:
        while True:
            poll = select.poll()
            poll.register(self._bell, select.POLLIN)
            with self._lock:
                slow = dict(self._slow)
            for descriptor in slow:
                poll.register(descriptor, select.POLLOUT)
            for descriptor, _ in poll.poll():
                if descriptor == self._bell.fileno():
                    self._bell.silence()
                elif slow[descriptor].drain():
                    with self._lock:
                        if self._slow.get(descriptor) is slow[descriptor]:
                            del self._slow[descriptor]
