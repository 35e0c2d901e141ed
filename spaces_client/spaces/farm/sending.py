"""The queue into which a channel of Celery's sends, on a connection that the channel keeps for it.

A pool would lend one for each push, which is an eighth of the push's time. What it sees to before it lends one is seen
to here: that no fork speaks on it, and that it is open and has nothing to read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from redis import Redis

from spaces.farm.queue import Queue
from spaces.farm.scripts import AWAY


class Sending:
    """Makes the queue by `connect`, whose client has one connection: at first, and again in a fork."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._connect = connect
        self._queue: Queue | None = None
        self._connection: Any = None  # Any: redis-py's, of several classes

    @property
    def queue(self) -> Queue:
        """The queue, ready for a command. Raises redis's errors if the broker is away."""
        if self._queue is None or self._connection.pid != os.getpid():
            redis = self._connect()
            self._connection, self._queue = redis.connection, Queue(redis)
        if self._has_something_to_read():
            self._connection.disconnect()  # the next command connects again
        return self._queue

    def _has_something_to_read(self) -> bool:
        """The end of a connection that the broker has closed, or the answer to a command that was interrupted."""
        try:
            return bool(self._connection.can_read())
        except (*AWAY, OSError):
            return True
