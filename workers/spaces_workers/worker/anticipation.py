"""Hears which Spaces are expected to be called, so that a worker keeps those on its device."""

from __future__ import annotations

from collections.abc import Callable

from spaces.farm.demand import calls_a_second
from spaces.farm.queue.broker_thread import BrokerThread
from spaces.farm.queue.queue import Queue
from spaces_workers.worker.gpu_memory.eviction import Demand

#: Seconds between two questions.
INTERVAL = 1.0


class Anticipation(BrokerThread):
    """Asks the broker, as long as its worker lives."""

    def __init__(self, connect: Callable[[], Queue], demand: Demand) -> None:
        super().__init__("anticipation", connect)
        self._demand = demand

    def _round(self, queue: Queue) -> None:
        self._demand.hear(calls_a_second(queue.redis, queue.keys.demand()))
        self._answered()
        self._stopping.wait(INTERVAL)
