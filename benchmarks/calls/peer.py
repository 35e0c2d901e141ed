"""Celery as it comes, for comparison: `celery -A benchmarks.calls.peer worker`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

app = Celery("peer", broker=os.environ["PEER_URL"], backend=os.environ["PEER_URL"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    task_send_sent_event=True,
    task_track_started=True,
    broker_connection_retry_on_startup=True,
)


@app.task  # type: ignore[untyped-decorator] # celery has no types
def echo(value: Any) -> Any:
    """Nothing."""
    return value
