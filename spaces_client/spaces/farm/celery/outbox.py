"""Sends tasks with their messages from any thread: each on a connection that no other thread uses meanwhile."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from kombu.utils.functional import retry_over_time
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from spaces.farm.broker_errors import AWAY
from spaces.farm.celery.message_form import MessageForm
from spaces.farm.celery.one_connection import OneConnection
from spaces.farm.celery.sending import Sender
from spaces.farm.celery.sent_events import SentEvents
from spaces.farm.connection import connect
from spaces.farm.task import Task

#: Seconds after which a broker that does not answer counts as gone; no attempt to push begins after so many.
SOCKET_TIMEOUT = 10.0

#: Connections that are kept open for the next calls.
MOST_IDLE = 10


class Outbox:
    """The tasks that this process sends through one Celery application."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._forms: dict[tuple[str, str], MessageForm] = {}
        self._idle: deque[Sender] = deque()
        self._events = SentEvents(app)
        atexit.register(self.close)

    def send(self, task: Task) -> bool:
        """Put a task into the queue of its size, unless it was put there before; whether it is new.

        Raises RefusedError, and AWAY after a few attempts.
        """
        form = self._form_for(task)
        message = form.message(task)
        policy = self._app.conf.task_publish_retry_policy
        with self._sender() as sender:
            is_new = bool(
                retry_over_time(
                    lambda: sender.connected_queue().push(task, message), AWAY, timeout=SOCKET_TIMEOUT, **policy
                )
            )
        if event := form.event(task):
            self._events.add(event)
        return is_new

    def close(self) -> None:
        """Send the events that are left, and close the connections."""
        atexit.unregister(self.close)
        self._events.close()
        while self._idle:
            self._idle.pop().close()

    def _form_for(self, task: Task) -> MessageForm:
        key = task.label, task.size
        if key not in self._forms:
            self._forms[key] = MessageForm.of(self._app, task)
        return self._forms[key]

    @contextmanager
    def _sender(self) -> Iterator[Sender]:
        try:
            sender = self._idle.pop()
        except IndexError:
            sender = Sender(self._connect)
        try:
            yield sender
        finally:
            self._keep(sender)

    def _keep(self, sender: Sender) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(sender)
        else:
            sender.close()

    def _connect(self) -> Redis:
        return connect(
            self._app.conf.broker_url,
            OneConnection,
            single_connection_client=True,
            socket_timeout=SOCKET_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
