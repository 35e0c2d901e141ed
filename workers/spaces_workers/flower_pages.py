"""Flower's pages that ask the broker, as ranked queues need them.

Each replaces the page of Flower's that has the same address. Flower answers `/metrics` without a password
(mher/flower#1342) and counts by the names of tasks and workers there; ours asks for one. `/healthcheck` stays open: it
says "OK" and nothing else, and a container's health check has no password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from flower.api.control import TaskRevoke
from flower.api.tasks import GetQueueLengths
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics
from redis import RedisError
from tornado.web import HTTPError, authenticated

from spaces.farm.queue import CancelOutcome, Queue
from spaces.farm.task import State
from spaces.farm.transport import RANKED

REASON = "revoked by an operator"

#: Characters of an exception that the list of tasks shows.
EXCEPTION_LENGTH = 200


class RankedQueues:
    """Takes the place of Flower's `Broker`, which counts lists and knows fewer forms of URL."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:  # Any: a row of Flower's broker page
        """How long each queue is, and how many workers serve it. Raises HTTPError if the broker does not answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(None, self._rows, list(names))
        except (RedisError, OSError) as error:
            raise HTTPError(503, "the broker does not answer") from error

    def _rows(self, names: list[str]) -> list[dict[str, Any]]:
        workers = list(self._queue.leases.workers().values())
        return [self._row(name, workers) for name in names]

    def _row(self, name: str, workers: list[dict[str, Any]]) -> dict[str, Any]:
        if name not in RANKED:
            return {"name": name, "messages": self._queue.redis.llen(name)}
        size = RANKED[name]
        waiting = self._queue.depth(size)
        serving = sum(size in worker.get("sizes", ()) for worker in workers)
        return {"name": name, "messages": waiting, "messages_ready": waiting, "consumers": serving}
