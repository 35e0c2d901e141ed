"""Passes calls from other threads to Celery's event loop, which alone may touch requests and connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from spaces_workers.link.channel import Bell
from spaces_workers.link.readiness import is_readable


class Mailbox:
    """Any thread posts calls; the loop's thread makes them, in order."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._bell = Bell()

    def post(self, call: Callable[[], object]) -> None:
        """Add a call."""
        self._calls.append(call)
        self._bell.ring()

    def deliver(self) -> None:
        """Make every call that was posted."""
        self._bell.silence()
        while self._calls:
            self._calls.popleft()()

    def wait(self, timeout: float) -> None:
        """Wait for a call after the loop has stopped, and make it."""
        if is_readable(self._bell, timeout):
            self.deliver()

    def register_with(self, hub: Any) -> None:  # Any: kombu.asynchronous.Hub
        """Have the event loop call `deliver`."""
        hub.add_reader(self._bell.fileno(), self.deliver)

    def close(self) -> None:
        self._bell.close()
