"""A thread that communicates with the broker as long as its process lives.

It survives a broker that is absent, read-only, full or restarted, and a callback that fails.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from redis import RedisError

from spaces.farm.queue.queue import Queue

logger = logging.getLogger(__name__)

#: Seconds between a failed round and the next one.
RETRY_INTERVAL = 1.0


class BrokerThread(ABC):
    """Works in rounds until it is stopped, on a connection that no other thread uses.

    `connect` opens that connection. A kind of error is logged once until a round calls `_answered` again.
    """

    def __init__(self, name: str, connect: Callable[[], Queue]) -> None:
        self._name = name
        self._queue = connect()
        self._stopping = threading.Event()
        self._failing_since: float | None = None
        self._logged: set[type[Exception]] = set()
        self._thread = threading.Thread(target=self._run, name=f"zerofarm {name}", daemon=True)

    def start(self) -> None:
        """Start the first round."""
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop after the current round, and wait for that, at most `timeout` seconds."""
        self._stopping.set()
        self._thread.join(timeout)

    @abstractmethod
    def _round(self, queue: Queue) -> None:
        """Do the thread's work once, and wait until the next round is due. It is called again after any exception."""

    def _leave(self, queue: Queue) -> None:  # noqa: B027 - not every thread has something to give back
        """Sign off at the broker; called once, at the end."""

    def _answered(self) -> None:
        """Note that the broker has answered, so that the next error is logged again."""
        if self._failing_since is not None:
            logger.info("%s: works again after %.0f s", self._name, time.monotonic() - self._failing_since)
            self._failing_since = None
            self._logged.clear()

    def _run(self) -> None:
        with self._queue.redis:
            while not self._stopping.is_set():
                try:
                    self._round(self._queue)
                except Exception as error:  # nothing would restart this thread
                    self._log(error)
                    self._stopping.wait(RETRY_INTERVAL)
            try:
                self._leave(self._queue)
            except Exception as error:
                logger.warning("%s: could not sign off: %s", self._name, error)

    def _log(self, error: Exception) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        level = logging.DEBUG if type(error) in self._logged else logging.WARNING
        self._logged.add(type(error))
        ours = None if isinstance(error, RedisError) else error  # an error of the broker needs no traceback
        logger.log(level, "%s: failed and is tried again: %s", self._name, error, exc_info=ours)
