"""dramatiq with one process and one thread. The broker's socket is `$BROKER_SOCKET`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from driver import serve

URL = f"unix://:{os.environ['BROKER_PASSWORD']}@{os.environ['BROKER_SOCKET']}"
dramatiq.set_broker(RedisBroker(url=URL))
dramatiq.get_broker().add_middleware(Results(backend=RedisBackend(url=URL)))


@dramatiq.actor(store_results=True)  # type: ignore[untyped-decorator] # has no types
def echo(value: object) -> object:
    """Nothing."""
    return value


class DramatiqSystem:
    """Calls of dramatiq's own."""

    def submit(self) -> Callable[[], object]:
        message = echo.send(1)
        return lambda: message.get_result(block=True, timeout=30_000)


if __name__ == "__main__":
    command = [sys.executable, "-m", "dramatiq", "dramatiq_system", "-p", "1", "-t", "1"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    DramatiqSystem().submit()()
    serve(DramatiqSystem())
    worker.terminate()
    worker.wait()
