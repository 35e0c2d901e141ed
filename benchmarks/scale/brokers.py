"""Brokers for the benchmarks of the queue alone, and the tasks that go through them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from redis import Redis

from spaces.farm.celery.celery_app import make_celery, submit
from spaces.farm.connection import connect
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import Keys
from spaces.farm.task import FunctionName, Task
from spaces_workers.broker.binary import find_server
from tests.waiting import wait_until


@contextmanager
def volatile_broker() -> Iterator[Redis]:
    """A separate broker that writes nothing to disk, so that its own work is measured, not the disk's."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        socket = Path(folder, "broker.sock")
        command = [str(find_server()), "--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_until(socket.exists)
            with connect(f"redis+socket://{socket}") as redis:
                yield redis
        finally:
            server.kill()
            server.wait()


def url_of(redis: Redis) -> str:
    """The URL of such a broker."""
    return f"redis+socket://{redis.connection_pool.connection_kwargs['path']}"


def cpu_seconds(redis: Redis) -> float:
    """The CPU time of the broker's only thread so far, which alone limits a broker's load."""
    spent = redis.info("cpu")
    return float(spent["used_cpu_user_main_thread"] + spent["used_cpu_sys_main_thread"])


def celery_message(redis: Redis) -> bytes:
    """What Celery stores with a task, about a kilobyte; `redis` must be without tasks."""
    app = make_celery(url_of(redis))
    task = make_task("any")
    submit(app, task)
    app.close()
    message = redis.hget(Keys().task(task.id), "message")
    redis.flushall()
    return cast(bytes, message)


def make_task(space: str, estimate: float = 60.0, client: str = "web-1") -> Task:
    """A task as a visitor of a Space makes it, with arguments of the length of a prompt."""
    return Task(
        space=space,
        function=FunctionName("__main__", "generate"),
        arguments=Payload(bytes(200)),
        estimate=estimate,
        summary="a lighthouse in a storm, steps=28, seed=7",
        client=client,
    )
