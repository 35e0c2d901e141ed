"""Keeps a worker's lease, on a thread and a connection of its own: what holds up the worker does not hold up its beats.

The same thread hears at once, by pub/sub, which of the worker's tasks are to be stopped; the beats say so again, in
case that word was lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from redis.client import PubSub

from spaces.farm.queue.queue import Queue
from spaces.farm.queue.scripts import AWAY

logger = logging.getLogger(__name__)


class Heartbeat:
    """Beats for a worker until it is stopped.

    `queue` opens the connection that only this thread uses; `info` is what the worker tells of itself (plain data).
    `on_cancel(task_id, reason)` and `on_lease_lost()` are called on this thread. The first may come twice for a task;
    after the second every task of the worker is, or will be, run by another one.
    """

    def __init__(
        self,
        queue: Callable[[], Queue],
        worker: str,
        info: Callable[[], Mapping[str, Any]],  # Any: plain data, shown to people
        on_cancel: Callable[[str, str], None],
        on_lease_lost: Callable[[], None],
    ) -> None:
        self.worker = worker
        self._connect = queue
        self._info = info
        self._on_cancel = on_cancel
        self._on_lease_lost = on_lease_lost
        self._told: set[str] = set()
        self._began = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zerofarm-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat; the first beat is sent at once."""
        self._thread.start()

    def stop(self) -> None:
        """Give the lease back: whatever the worker still holds goes back to the queue at once."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        queue = self._connect()
        with queue.redis, PubSub(queue.redis.connection_pool, ignore_subscribe_messages=True) as words:
            while not self._stopping.is_set():
                try:
                    self._beat(queue)
                    self._listen(queue, words)
                except AWAY as error:
                    logger.warning("worker %s could not beat: %s", self.worker, error)
                    self._stopping.wait(queue.rules.worker_beat)
            self._leave(queue)

    def _beat(self, queue: Queue) -> None:
        beat = queue.leases.beat(self.worker, self._info())
        if self._began and not beat.had_lease:
            logger.warning("worker %s was taken for dead, its tasks are given to others", self.worker)
            self._on_lease_lost()
        self._began = True
        self._told &= beat.cancelled.keys()
        for task, reason in beat.cancelled.items():
            self._tell(task, reason)
        queue.expire()

    def _listen(self, queue: Queue, words: PubSub) -> None:
        """Until the next beat is due, wait on the socket for tasks to be stopped."""
        if not words.subscribed:
            words.subscribe(queue.keys.cancellations(self.worker))
        due = time.monotonic() + queue.rules.worker_beat
        while not self._stopping.is_set() and (left := due - time.monotonic()) > 0:
            word = words.get_message(timeout=left)
            if word is not None:
                task, _, reason = word["data"].decode().partition(" ")
                self._tell(task, reason)

    def _tell(self, task: str, reason: str) -> None:
        if task not in self._told:
            self._told.add(task)
            self._on_cancel(task, reason)

    def _leave(self, queue: Queue) -> None:
        try:
            queue.leases.leave(self.worker)
        except AWAY as error:
            logger.warning("worker %s could not give its lease back, it will expire: %s", self.worker, error)
