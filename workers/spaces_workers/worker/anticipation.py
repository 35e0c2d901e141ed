"""Hears which Spaces are pinned, or expected to be called: a worker keeps those on its device, and wakes some early."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import cast

from spaces.farm.demand import calls_a_second
from spaces.farm.queue.broker_thread import BrokerThread
from spaces.farm.queue.control.controls import pinned
from spaces.farm.queue.queue import Queue
from spaces.farm.subscription import Subscription
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.gpu_memory.eviction import Demand, Pins
from spaces_workers.worker.gpu_memory.prefetch import Prefetch

#: Seconds between two looks at the queues.
INTERVAL = 1.0

#: Tasks at the head of each queue whose Spaces are expected.
FIRST = 2

#: Seconds for which a Space is expected after somebody has opened its page.
OPENED = 60.0


class Anticipation(BrokerThread):
    """Asks the broker, and listens to it, as long as its worker lives."""

    def __init__(
        self,
        connect: Callable[[], Queue],
        demand: Demand,
        pins: Pins,
        prefetch: Prefetch,
        sizes: Sequence[str],
        running: Callable[[], Sequence[ChildLink | None]],
    ) -> None:
        super().__init__("anticipation", connect)
        self._demand = demand
        self._pins = pins
        self._prefetch = prefetch
        self._sizes = sizes
        self._running = running  #: the children of tasks; None for a task that gets its child now
        self._opened: dict[str, float] = {}  #: moments by Space, the latest last
        self._visits = Subscription(self._queue.redis.connection_pool, ignore_subscribe_messages=True)

    def _round(self, queue: Queue) -> None:
        self._demand.hear(calls_a_second(queue.redis, queue.keys.demand()))
        self._pins.hear(pinned(queue))
        self._answered()
        self._prefetch.bury()
        if self._prefetch.has_sleepers:
            self._wake(list(dict.fromkeys([*_first(queue, self._sizes), *self._visited()])))
        if not self._running():
            self._prefetch.save()
            self._prefetch.share()
        self._listen(queue)
        self._prefetch.exchange()

    def _wake(self, expected: Sequence[str]) -> None:
        for space in expected:
            children = self._running()
            running = [child for child in children if child is not None]
            if len(running) == len(children):
                self._prefetch.wake(space, running=running, spared=expected)

    def _leave(self, queue: Queue) -> None:
        self._visits.close()

    def _visited(self) -> Collection[str]:
        now = time.monotonic()
        self._opened = {space: at for space, at in self._opened.items() if now - at < OPENED}
        return self._opened

    def _listen(self, queue: Queue) -> None:
        """Wait for a page that is opened, until the next look is due."""
        if not self._visits.subscribed:
            self._visits.subscribe(queue.keys.visits())
        message = self._visits.get_message(timeout=INTERVAL)
        if message is not None:
            space = message["data"].decode()
            self._opened.pop(space, None)
            self._opened[space] = time.monotonic()


def _first(queue: Queue, sizes: Sequence[str]) -> list[str]:
    """The Spaces of the next tasks of these sizes."""
    with queue.redis.pipeline(transaction=False) as pipe:
        for size in sizes:
            pipe.zrange(queue.keys.queue(size), 0, FIRST - 1)
        ids = [task.decode() for found in cast("list[list[bytes]]", pipe.execute()) for task in found]
        for task in ids:
            pipe.hget(queue.keys.task(task), "space")
        return [space.decode() for space in cast("list[bytes | None]", pipe.execute()) if space is not None]
