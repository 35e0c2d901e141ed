"""The sending half of our Celery channel, which callers use. `transport.py` adds the receiving half, for workers.

Tasks do not pass through it: `outbox.py` sends them. It keeps the messages that Celery makes for them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from kombu.transport import redis as kombu_redis
from redis import Redis

from spaces.farm.broker_errors import AWAY, Parser
from spaces.farm.celery.message_form import current_draft
from spaces.farm.celery.ranked_queues import RANKED, is_ranked
from spaces.farm.queue.queue import Queue

#: The end of the names of the queues in which the answers to control commands wait, as kombu's mailboxes name them.
_REPLIES = ".reply.celery.pidbox"

#: Milliseconds for which such an answer waits: as long as kombu keeps it where its asker declares the queue.
_REPLY_LIFETIME = 10_000


class SendingChannel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no types
    """kombu's channel, with the ranked queues."""

    _pool_client: Any = None  # Any: a client as kombu makes it

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # Any: options of several types
        return dict(super()._connparams(asynchronous), parser_class=Parser)

    def _create_client(self, asynchronous: bool = False) -> Any:  # Any: a client as kombu makes it
        """Reuse one client for each pool: kombu makes one for each message, which takes longer than sending it."""
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
            with self._mortal(queue):
                super()._put(queue, message, **kwargs)
            return
        draft = current_draft()
        if draft is None:
            raise TypeError(f"{queue} takes tasks of Spaces only; send them with spaces.farm.celery.celery_app.submit")
        draft.message = message

    @contextmanager
    def _mortal(self, queue: str) -> Iterator[None]:
        """Within this, an answer to a control command gets a lifetime, since its asker may have left.

        kombu gives it one only on the channel that declared the queue, which is the asker's.
        """
        if not queue.endswith(_REPLIES) or queue in self._expires:
            yield
            return
        self._expires[queue] = _REPLY_LIFETIME
        try:
            yield
        finally:
            del self._expires[queue]

    def _next_delivery_tag(self) -> str:  # identifies a message to `Transport` and Celery; a task's tag is its id
        draft = current_draft()
        return str(super()._next_delivery_tag()) if draft is None else draft.id

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
    """Keeps the queue on one connection, of a client that `connect` makes: at first, and again after a fork.

    A pool would lend a connection for each push, which takes an eighth of the push's time. The checks that it makes
    before it lends one are made here: that no fork uses it, that it is open, and that it has nothing to read.
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

    def close(self) -> None:
        """Close the connection."""
        if self._queue is not None and self._connection.pid == os.getpid():
            self._queue.redis.close()

    def _has_something_to_read(self) -> bool:
        """Whether the broker has closed the connection, or an interrupted command's answer is left on it."""
        try:
            return bool(self._connection.can_read())
        except (*AWAY, OSError):
            return True
