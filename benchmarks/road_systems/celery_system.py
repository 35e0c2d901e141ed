"""Celery as it comes, with the pool `solo`, `prefork` or `prefork-events`. The broker's socket is `$BROKER_SOCKET`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from celery import Celery
from driver import serve

URL = f"redis+socket://:{os.environ['BROKER_PASSWORD']}@{os.environ['BROKER_SOCKET']}"
app = Celery("peer", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_send_sent_event=bool(os.environ.get("EVENTS")),
    broker_connection_retry_on_startup=True,
)


@app.task(name="echo")  # type: ignore[untyped-decorator] # has no types
def echo(value: object) -> object:
    """Nothing."""
    return value


class CelerySystem:
    """Calls of Celery's own."""

    def submit(self) -> Callable[[], object]:
        return echo.delay(1).get  # type: ignore[no-any-return] # Celery has no types


def main() -> None:
    """Start a worker, and measure when told to."""
    pool, _, events = sys.argv[1].partition("-")
    command = [sys.executable, "-m", "celery", "-A", "celery_system", "worker", "-P", pool, "-c1", "-l", "ERROR"]
    worker = subprocess.Popen([*command, *(["-E"] if events else [])], stderr=subprocess.DEVNULL)
    while not app.control.ping(timeout=1):
        pass
    serve(CelerySystem())
    worker.terminate()
    worker.wait()


if __name__ == "__main__":
    os.environ["EVENTS"] = sys.argv[1].partition("-")[2]
    app.conf.task_send_sent_event = bool(os.environ["EVENTS"])
    main()
