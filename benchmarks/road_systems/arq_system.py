"""arq with one job at a time; it polls each millisecond. The broker's socket is `$BROKER_SOCKET`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

from arq import create_pool
from arq.connections import RedisSettings
from driver import serve


async def echo(_: object, value: object) -> object:
    """Nothing."""
    return value


class WorkerSettings:
    """arq's own."""

    functions = (echo,)
    redis_settings = RedisSettings(unix_socket_path=os.environ["BROKER_SOCKET"], password=os.environ["BROKER_PASSWORD"])
    max_jobs = 1
    poll_delay = 0.001


class ArqSystem:
    """Calls of arq's own, from one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._pool = self._loop.run_until_complete(create_pool(WorkerSettings.redis_settings))

    def submit(self) -> Callable[[], object]:
        job = self._loop.run_until_complete(self._pool.enqueue_job("echo", 1))
        return lambda: self._loop.run_until_complete(job.result(timeout=30, poll_delay=0.001))


if __name__ == "__main__":
    worker = subprocess.Popen([sys.executable, "-m", "arq", "arq_system.WorkerSettings"], stderr=subprocess.DEVNULL)
    ArqSystem().submit()()
    serve(ArqSystem())
    worker.terminate()
    worker.wait()
