"""The side of the broker, which all sessions of a gateway share."""

from __future__ import annotations

from spaces.farm.celery.celery_app import make_celery
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.task import Task
from spaces_workers.gateway.relay import Relay


class BrokerSide:
    """The farm's broker at `url`, for pages on `host`."""

    def __init__(self, url: str, host: str) -> None:
        self.host = host
        self.relay = Relay(lambda: connect(url))
        self._url = url
        self._outbox = make_celery(url).outbox

    def queue(self) -> Queue:
        """A queue for one session: it waits for its own answers alone."""
        return Queue(connect(self._url))

    def registry(self, queue: Queue) -> Registry:
        """The records of Spaces, on a session's connection."""
        return Registry(queue.redis)

    def push(self, task: Task) -> bool:
        """Queue a task. Whether it is new. Raises RefusedError, and AWAY."""
        return self._outbox.send(task)
