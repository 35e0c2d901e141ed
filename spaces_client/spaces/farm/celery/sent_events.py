"""Sends Celery's event `task-sent`, by which Flower shows a waiting task: beside the calls, and those of a moment
together."""

from __future__ import annotations

import threading
from typing import Any

from celery import Celery
from celery.events import EventDispatcher

#: Seconds for which events are gathered before they are sent.
GATHERING = 0.1

#: Events that are gathered at most.
MOST = 1000


class SentEvents:
    """Sends the events of one process. Those that the broker did not take are sent with the next."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._due, self._closing = threading.Event(), threading.Event()
        self._dispatcher: EventDispatcher | None = None
        self._thread: threading.Thread | None = None

    def add(self, fields: dict[str, Any]) -> None:  # Any: Celery's own
        """Send an event with these fields in a moment."""
        if self._dispatcher is None:
            self._start()
        if self._dispatcher is not None:
            self._dispatcher.send("task-sent", **fields)

    def close(self) -> None:
        """Send what was gathered."""
        if self._thread is not None:
            self._closing.set()
            self._due.set()
            self._thread.join(1.0)

    def _start(self) -> None:
        with self._lock:
            if self._dispatcher is None:
                connection = self._app.connection_for_write()
                self._dispatcher = self._app.events.Dispatcher(
                    connection, buffer_group=["task"], buffer_limit=MOST, on_send_buffered=self._due.set
                )
                self._thread = threading.Thread(target=self._run, args=(self._dispatcher, connection), daemon=True)
                self._thread.name = "zerofarm-events"
                self._thread.start()

    def _run(self, dispatcher: EventDispatcher, connection: Any) -> None:  # Any: kombu's own
        with connection:
            while not self._closing.is_set():
                self._due.wait()
                self._closing.wait(GATHERING)
                self._due.clear()
                dispatcher.flush()  # buffers events that cannot be sent, and raises nothing
