"""What Flower hears of a farm: Celery's events, by way of the broker."""

from __future__ import annotations

import logging
import time
from typing import Any, NoReturn

from celery.events import EventReceiver
from flower.events import Events

logger = logging.getLogger(__name__)

#: Seconds between two attempts to reach an absent broker.
RECONNECT_INTERVAL = 1.0


class FarmEvents(Events):  # type: ignore[misc]  # flower has no types
    """Listens on a thread of its own, and after an absence of the broker goes on at once.

    Flower's own way doubles its pause at each failure, so that after an hour's absence it may be deaf for another.
    """

    def run(self) -> NoReturn:
        while True:
            try:
                self._listen()
            except Exception as error:  # of the broker's many; whatever it was, Flower must not stay deaf
                logger.warning("no events for now, waiting for the broker: %s", error)
                time.sleep(RECONNECT_INTERVAL)

    def on_event(self, event: dict[str, Any]) -> None:  # Any: Celery's event
        """Note an event. A task that waits counts as received when it was sent, until the worker that gets it says
        better: lists are sorted by that, latest first, and would have at their very end what still waits."""
        if event["type"] == "task-sent":
            event["received"] = event["timestamp"]
        super().on_event(event)

    def _listen(self) -> None:
        with self.capp.connection() as connection:
            connection.ensure_connection(interval_start=RECONNECT_INTERVAL, interval_step=0)
            receiver = EventReceiver(connection, handlers={"*": self.on_event}, app=self.capp)
            receiver.capture(limit=None, timeout=None, wakeup=True)
