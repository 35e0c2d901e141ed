"""How long does a task wait whose worker was killed, where Celery uses kombu's own transport for Redis?

Also the application of those workers: `celery -A benchmarks.scale.stock_recovery worker`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery
from redis import Redis

from benchmarks.scale.brokers import url_of, volatile_broker
from spaces.farm.connection import connect

#: Seconds without an acknowledgement after which a message counts as abandoned. A longer task would run twice.
VISIBILITY_TIMEOUT = 5

PATIENCE = 200.0

app = Celery("stock", broker=os.environ.get("PEER_URL", ""))
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT},
)


@app.task  # type: ignore[untyped-decorator] # celery has no types
def hold() -> None:
    """Report who runs it, and run for ever."""
    connect(os.environ["PEER_URL"]).rpush("runs", os.getpid())
    time.sleep(PATIENCE)


def seconds_to_recover() -> float:
    """From a kill -9 of the worker that has a task to its start on the other worker."""
    with volatile_broker() as redis, _worker(url_of(redis)), _worker(url_of(redis)):
        with Celery("sender", broker=url_of(redis), set_as_current=False) as sender:
            sender.send_task(hold.name)
        os.kill(_next_run(redis), signal.SIGKILL)
        killed = time.monotonic()
        _next_run(redis)
        return time.monotonic() - killed


def _next_run(redis: Redis) -> int:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if (run := redis.blpop(["runs"], timeout=5)) is not None:
            return int(run[1])
    raise TimeoutError(f"the task did not start within {PATIENCE:g} s")


@contextmanager
def _worker(url: str) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "benchmarks.scale.stock_recovery",
        "worker",
        "-P",
        "solo",
        "-l",
        "ERROR",
    ]
    name = f"-nstock{time.monotonic_ns()}"
    worker = subprocess.Popen(
        [*command, name], env=os.environ | {"PEER_URL": url}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        worker.kill()
        worker.wait()
