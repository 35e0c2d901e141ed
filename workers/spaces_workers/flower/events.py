"""Flower's receiver of Celery's events, which come through the broker."""

from __future__ import annotations

import logging
import time
from typing import Any, NoReturn

from celery.events import EventReceiver
from flower.events import Events

logger = logging.getLogger(__name__)

#: Seconds between two attempts to reach the broker while it is absent.
RECONNECT_INTERVAL = 1.0


class FarmEvents(Events):  # type: ignore[misc]  # flower has no types
    """Listens on its own thread, and resumes as soon as the broker is back.

    Flower's own receiver doubles its pause at each failure, so after an hour's absence it may miss events for another.
    """

    def run(self) -> NoReturn:
        while True:
            try:
                self._listen()
            except Exception as error:  # the broker's errors are many; Flower must resume after any
                logger.warning("no events for now, waiting for the broker: %s", error)
                time.sleep(RECONNECT_INTERVAL)

    def on_event(self, event: dict[str, Any]) -> None:  # Any: Celery's event
        """Record an event. A queued task counts as received when it was sent, until a worker reports otherwise: lists
        are sorted by that time, latest first, and would show queued tasks last."""
        if event["type"] == "task-sent":
            event["received"] = event["timestamp"]
        super().on_event(event)

    def _listen(self) -> None:
        with self.capp.connection() as connection:
            connection.ensure_connection(interval_start=RECONNECT_INTERVAL, interval_step=0)
            receiver = EventReceiver(connection, handlers={"*": self.on_event}, app=self.capp)
            receiver.capture(limit=None, timeout=None, wakeup=True)
