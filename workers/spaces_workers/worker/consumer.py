"""Celery's consumer, but for one thing: a cold shutdown gives tasks back instead of cancelling them."""

from __future__ import annotations

from celery.worker.consumer import Consumer


class FarmConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """The pool gives its tasks back when it is stopped; see `TaskPool.on_stop`."""

    def cancel_active_requests(self) -> None:
        """Nothing: a task whose request was cancelled here would end as cancelled for its caller."""
