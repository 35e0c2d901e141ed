"""Celery's consumer with two changes: a cold shutdown requeues tasks instead of cancelling them, and events of tasks
are sent together, because sending one takes longer than running many a function."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer

#: Seconds for which events of tasks are gathered before they are sent.
GATHERING = 0.1


class FarmConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Leaves running tasks to the pool, which requeues them when it is stopped; see `TaskPool.on_terminate`."""

    _gathers = False  #: events are gathered, and a timer is set to send them
    _stops = False  #: nothing is gathered any more

    def register_with_event_loop(self, hub: Any) -> None:  # Any: celery's own
        self._gathers = False  # a timer of an earlier connection is gone
        super().register_with_event_loop(hub)

    def on_send_event_buffered(self) -> None:
        """Send the event in a moment, with those that follow."""
        if self.hub is None or self._stops:
            super().on_send_event_buffered()
        elif not self._gathers:
            self._gathers = True
            self.hub.call_later(GATHERING, self._send_gathered)

    def stop(self) -> None:
        self._stops = True
        self._send_gathered()
        super().stop()

    def _send_gathered(self) -> None:
        self._gathers = False
        self._flush_events()

    def cancel_active_requests(self) -> None:
        """Do nothing: cancelling a request here would end its task as cancelled for the caller."""
