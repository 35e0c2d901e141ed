"""Takes tasks as Celery's consumer does, in the process of a test."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery import Celery
from kombu import Connection, Consumer

from spaces.farm.events import Succeeded
from spaces.farm.payloads.payload import Payload
from tests.waiting import wait_until

#: The end of a task that has returned.
RESULT = Succeeded(Payload(b"result"))


def drained(connection: Connection, timeout: float = 0.1) -> bool:
    """Wait for a message, but not for long; always True."""
    with suppress(TimeoutError):
        connection.drain_events(timeout=timeout)
    return True


class Worker:
    """What Celery's consumer does: takes one message at a time."""

    def __init__(self, app: Celery) -> None:
        self.messages: list[Any] = []
        self.connection: Connection = app.connection_for_read()
        self.consumer = Consumer(
            self.connection,
            list(app.conf.task_queues),
            on_message=self.messages.append,
            accept=["json"],
            prefetch_count=1,
        )
        self.consumer.consume()

    def take(self) -> Any:
        count = len(self.messages)
        wait_until(lambda: drained(self.connection) and len(self.messages) > count)
        return self.messages[-1]

    def close(self) -> None:
        self.connection.close()
