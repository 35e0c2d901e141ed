"""Flower's pages that ask the broker, adapted to ranked queues.

Each replaces Flower's page of the same address. Flower serves `/metrics`, which names tasks and workers, without a
password (mher/flower#1342); ours asks for one. `/healthcheck` stays open: it only answers "OK", and a container's
health check has no password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, assert_never

from flower.api.control import ControlHandler, TaskRevoke
from flower.api.tasks import GetQueueLengths
from flower.views.broker import BrokerView
from flower.views.monitor import Metrics
from redis import RedisError
from tornado.web import HTTPError, authenticated

from spaces.farm.celery.ranked_queues import RANKED
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.task_state import TaskState
from spaces.farm.task import State

REASON = "revoked by an operator"


class RankedQueues:
    """Replaces Flower's `Broker`, which counts lists and accepts fewer forms of URL."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:  # Any: a row of Flower's broker page
        """The length of each queue, and how many workers serve it. Raises HTTPError if the broker does not answer."""
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


class KnowsRanked:
    """Mixin for Flower's pages: lists the ranked queues even while no worker serves them."""

    application: Any  # Any: FarmFlower, which imports this module

    def get_broker(self) -> RankedQueues:
        return RankedQueues(self.application.queue)

    def get_active_queue_names(self) -> list[str]:
        others: list[str] = super().get_active_queue_names()  # type: ignore[misc]  # Flower's BaseHandler has it
        return sorted({*RANKED, *others})


class BrokerPage(KnowsRanked, BrokerView):  # type: ignore[misc]  # flower has no types
    """`/broker`"""


class QueueLengths(KnowsRanked, GetQueueLengths):  # type: ignore[misc]  # flower has no types
    """`/api/queues/length`"""


class MetricsPage(Metrics):  # type: ignore[misc]  # flower has no types
    """`/metrics`, with a password."""

    @authenticated
    async def get(self) -> None:
        await super().get()


class Revoke(TaskRevoke):  # type: ignore[misc]  # flower has no types
    """`/api/task/revoke/{id}`: cancels a task as its own caller would, so that the caller hears of it at once.

    Celery's own revoke reaches only the workers that run now, each of which drops the task when it receives it. As in
    Celery, a running task is stopped only with `terminate=true`; the farm decides which signal that sends.
    """

    @authenticated
    async def post(self, task_id: str) -> None:
        if self.application.options.read_only:
            raise HTTPError(403, "Read only mode is enabled")
        queue: Queue = self.application.queue
        task: TaskState | None = await self._ask(task_id, queue.state, task_id)
        if task is None:
            raise HTTPError(404, f"Unknown task '{task_id}'")
        if task.state is State.RUNNING and not self.get_argument("terminate", default=False, type=bool):
            raise HTTPError(409, f"'{task_id}' is running: pass terminate=true to stop it")
        outcome: CancelOutcome = await self._ask(task_id, queue.cancel, task_id, REASON)
        await self.application.ends.look()
        self.write({"message": f"Revoked '{task_id}': {_said_of(outcome)}"})

    async def _ask(self, task_id: str, call: Callable[..., Any], *args: str) -> Any:  # Any: whatever `call` returns
        return await self.run_blocking("task.revoke", task_id, call, *args, connection_errors=(RedisError,))


def _said_of(outcome: CancelOutcome) -> str:
    match outcome:
        case CancelOutcome.REMOVED:
            return "it was taken out of the queue"
        case CancelOutcome.TOLD:
            return "its worker was told to stop it"
        case CancelOutcome.ENDED | CancelOutcome.UNKNOWN:
            return "it had ended before"
        case _:
            assert_never(outcome)


class Refusal(ControlHandler):  # type: ignore[misc]  # flower has no types
    """Answers to actions that Flower offers and a farm does not support."""

    sentence = ""

    @authenticated
    async def post(self) -> None:
        raise HTTPError(403, self.sentence)


class NoSending(Refusal):
    sentence = "Tasks are sent by Spaces, and from elsewhere with spaces.Farm(url).submit(...)"


class NoResizing(Refusal):
    sentence = "A worker runs one task at a time on its GPU; start or stop workers instead"


#: Address and handler, as Flower's own list has them.
PAGES = [
    (r"/broker", BrokerPage),
    (r"/api/queues/length", QueueLengths),
    (r"/api/task/revoke/(.+)", Revoke),
    (r"/api/task/(?:apply|async-apply|send-task)/.+", NoSending),
    (r"/api/worker/pool/.+", NoResizing),
    (r"/metrics", MetricsPage),
]
