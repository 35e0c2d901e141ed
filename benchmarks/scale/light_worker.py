"""A worker without Celery, zygotes and children: its queue is real, its work is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from spaces.farm.broker_errors import AWAY
from spaces.farm.connection import connect
from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue import claiming
from spaces.farm.queue.claiming import Claimed, moment
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease

T = TypeVar("T")

DONE = Succeeded(Payload(b""))


class LightWorker:
    """Claims, serves and ends tasks of the size `large` until `stopping` is set; an absent broker is waited for."""

    def __init__(
        self,
        url: str,
        name: str,
        serve: Callable[[Lease], None],
        warmth: Callable[[], Warmth] = Warmth,
        rules: Rules | None = None,
        ended: Callable[[Lease], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.queue = Queue(connect(url), rules=rules)
        self.stopping = threading.Event()
        self._serve = serve
        self._warmth = warmth
        self._ended = ended

    def start(self) -> threading.Thread:
        """Work on its own thread."""
        thread = threading.Thread(target=self.run, name=self.name, daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Work until stopped."""
        while not self.stopping.is_set():
            claimed = persistent(self._next)
            if claimed is not None:
                self._serve(claimed.lease)
                self._end(claimed.lease)

    def _end(self, lease: Lease) -> None:
        if persistent(lambda: self.queue.end(lease, DONE)):
            self._ended(lease)

    def _next(self) -> Claimed | None:
        queue, rules = self.queue, self.queue.rules
        arguments = claiming.arguments(rules, self.name, ["large"], self._warmth(), [], rules.hold)
        reply = queue.scripts.run("claim", queue.keys.workers(), *arguments)
        if reply is None or isinstance(reply, bytes):
            bells = [queue.keys.call(self.name), queue.keys.bell("large")]
            queue.redis.brpop(bells, timeout=min(moment(reply), 1.0))
        return queue.claimed(self.name, reply)


def persistent(call: Callable[[], T]) -> T:
    """Call it until the broker answers; every move of a task may be repeated."""
    while True:
        try:
            return call()
        except AWAY:
            time.sleep(0.02)
