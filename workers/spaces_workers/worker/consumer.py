"""Celery's consumer with one change: a cold shutdown requeues tasks instead of cancelling them."""

from __future__ import annotations

from celery.worker.consumer import Consumer


class FarmConsumer(Consumer):  # type: ignore[misc]  # celery has no types
    """Leaves running tasks to the pool, which requeues them when it is stopped; see `TaskPool.on_terminate`."""

    def cancel_active_requests(self) -> None:
        """Do nothing: cancelling a request here would end its task as cancelled for the caller."""
