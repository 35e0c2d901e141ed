"""Keeps a worker's lease, on its own thread and connection, so that a busy worker does not delay its beats.

The same thread receives by pub/sub which of the worker's tasks must stop; the answers to beats repeat it, in case a
message was lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis import AuthenticationError

from spaces.farm.queue.broker_thread import BrokerThread
from spaces.farm.queue.queue import Queue
from spaces.farm.subscription import Subscription

logger = logging.getLogger(__name__)

#: Rounds, of a second each, after which a login that is refused is wrong: a broker that starts may lack its users.
REFUSALS = 5


class Heartbeat(BrokerThread):
    """Sends beats for a worker until it is stopped. Then the worker's tasks return to the queue at once.

    `info` returns the worker's description (plain data). `on_cancel(task_id, reason)` and `on_lease_lost()` are called
    on this thread. The first may be called twice for a task; after the second, other workers run, or will run, all
    tasks of this worker. `after_beat` is called with the thread's own queue, about once a second;
    `on_refused` once, when the broker has not taken the worker's login for REFUSALS rounds.
    """

    def __init__(
        self,
        connect: Callable[[], Queue],
        worker: str,
        info: Callable[[], Mapping[str, Any]],  # Any: plain data, shown to people
        on_cancel: Callable[[str, str], None],
        on_lease_lost: Callable[[], None],
        after_beat: Callable[[Queue], None] = lambda _: None,
        on_refused: Callable[[AuthenticationError], None] = lambda _: None,
    ) -> None:
        super().__init__(f"heartbeat of worker {worker}", connect)
        self.worker = worker
        self._info = info
        self._on_cancel = on_cancel
        self._on_lease_lost = on_lease_lost
        self._after_beat = after_beat
        self._on_refused = on_refused
        self._refusals = 0
        self._told: set[str] = set()
        self._began = False
        self._words = Subscription(self._queue.redis.connection_pool, ignore_subscribe_messages=True)

    def _round(self, queue: Queue) -> None:
        try:
            self._beat(queue)
        except AuthenticationError as error:
            self._refusals += 1
            if self._refusals == REFUSALS:
                self._on_refused(error)
            raise
        self._refusals = 0
        self._answered()
        self._listen(queue)

    def _leave(self, queue: Queue) -> None:
        self._words.close()
        queue.leases.leave(self.worker)

    def _beat(self, queue: Queue) -> None:
        beat = queue.leases.beat(self.worker, self._info())
        if self._began and not beat.had_lease:
            logger.warning("the lease of worker %s had expired: its tasks are given to others", self.worker)
            self._on_lease_lost()
        self._began = True
        self._told &= beat.cancelled.keys()
        for task, reason in beat.cancelled.items():
            self._tell(task, reason)
        queue.expire()
        self._after_beat(queue)

    def _listen(self, queue: Queue) -> None:
        """Wait on the socket for tasks to stop, until the next beat is due."""
        if not self._words.subscribed:
            self._words.subscribe(queue.keys.cancellations(self.worker))
        due = time.monotonic() + queue.rules.worker_beat
        while not self._stopping.is_set() and (left := due - time.monotonic()) > 0:
            word = self._words.get_message(timeout=left)
            if word is not None:
                task, _, reason = word["data"].decode().partition(" ")
                self._tell(task, reason)

    def _tell(self, task: str, reason: str) -> None:
        if task not in self._told:
            self._told.add(task)
            self._on_cancel(task, reason)
