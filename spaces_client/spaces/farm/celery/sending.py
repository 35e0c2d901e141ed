"""The half of a channel that a caller needs: a message of Celery's becomes a task in a ranked queue.

A caller wraps its `send_task` in `outgoing`. `transport.py` adds what a worker needs, and has the rest of the story.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.utils.json import JSONEncoder
from redis import Redis

from spaces.farm.broker_errors import AWAY, Parser
from spaces.farm.celery.ranked import RANKED, is_ranked
from spaces.farm.queue.queue import Queue
from spaces.farm.task import Task

#: What `kombu.utils.json.dumps` does with an encoder that it makes anew for each message.
_dumps = JSONEncoder().encode

_outgoing: ContextVar[Task] = ContextVar("outgoing")


@contextmanager
def outgoing(task: Task) -> Iterator[None]:
    """Within this, a message that is sent to a ranked queue is the message of this task."""
    token = _outgoing.set(task)
    try:
        yield
    finally:
        _outgoing.reset(token)


class SendingChannel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types
    """kombu's channel, which pushes a task instead of a message where a queue is ranked."""

    _pool_client: Any = None  # Any: a client as kombu makes it

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # Any: options of several types
        return dict(super()._connparams(asynchronous), parser_class=Parser)

    def _create_client(self, asynchronous: bool = False) -> Any:  # Any: a client as kombu makes it
        """kombu makes one for each message, which takes longer than to send it; here each pool has one."""
        if asynchronous:
            return super()._create_client(asynchronous)
        if self._pool_client is None or self._pool_client.connection_pool is not self.pool:
            self._pool_client = super()._create_client()
        return self._pool_client

    @cached_property
    def _sender(self) -> Sender:
        return Sender(lambda: self.Client(connection_pool=self.pool, single_connection_client=True))

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:  # Any: kombu's own message
        if not is_ranked(queue):
            super()._put(queue, message, **kwargs)
            return
        task = _outgoing.get(None)
        if task is None:
            raise TypeError(f"{queue} takes tasks of Spaces only; send them with spaces.farm.celery.celery_app.submit")
        self._sender.connected_queue().push(task, _dumps(message).encode())

    def _next_delivery_tag(self) -> str:  # by which `Transport` and Celery know a message: a task's is its id
        task = _outgoing.get(None)
        return str(super()._next_delivery_tag()) if task is None else task.id

    def _size(self, queue: str) -> int:
        return self._sender.connected_queue().depth(RANKED[queue]) if is_ranked(queue) else int(super()._size(queue))

    def _purge(self, queue: str) -> int:
        return self._sender.connected_queue().purge(RANKED[queue]) if is_ranked(queue) else int(super()._purge(queue))

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:  # Any: kombu's own
        return is_ranked(queue) or bool(super()._has_queue(queue, **kwargs))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:  # Any: kombu's own
        if is_ranked(queue):
            self._purge(queue)
        else:
            super()._delete(queue, *args, **kwargs)


class Sender:
    """Keeps the queue on one connection, that of the client that `connect` makes: at first, and again in a fork.

    A pool would lend a connection for each push, which is an eighth of the push's time. What it sees to before it lends
    one is seen to here: that no fork speaks on it, and that it is open and has nothing to read.
    """

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._connect = connect
        self._queue: Queue | None = None
        self._connection: Any = None  # Any: redis-py's, of several classes

    def connected_queue(self) -> Queue:
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
