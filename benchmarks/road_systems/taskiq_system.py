"""taskiq with one process and one task at a time: `taskiq_system.py`. The broker's socket is `$BROKER_SOCKET`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

from driver import serve
from taskiq import TaskiqResultTimeoutError
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

URL = f"unix://:{os.environ['BROKER_PASSWORD']}@{os.environ['BROKER_SOCKET']}"

# By redis-py's own limit for an answer, 5 s since its version 8, a worker that waits for a task would leave.
broker = ListQueueBroker(URL, socket_timeout=None).with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=600))


# Its own name would be made from the path of this file, which the worker imports by another name.
@broker.task(task_name="echo")  # type: ignore[untyped-decorator] # has no types
async def echo(value: object) -> object:
    """Nothing."""
    return value


class TaskiqSystem:
    """Calls of taskiq's own, from one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(broker.startup())

    def submit(self) -> Callable[[], object]:
        task = self._loop.run_until_complete(echo.kiq(1))
        return lambda: self._loop.run_until_complete(task.wait_result(check_interval=0.001, timeout=30))


if __name__ == "__main__":
    command = [sys.executable, "-m", "taskiq", "worker", "-w", "1", "--max-async-tasks", "1", "taskiq_system:broker"]
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    system = TaskiqSystem()
    while True:
        with suppress(TaskiqResultTimeoutError):  # the worker may not have started yet
            system.submit()()
            break
    serve(system)
    worker.terminate()
    worker.wait()
