"""Brokers for the benchmarks of the queue alone, and the tasks that go through them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from spaces.farm.connection import connect
from spaces.farm.payload import Payload
from spaces.farm.queue import Queue
from spaces.farm.task import FunctionName, Task
from spaces_workers.broker import find_server
from tests.harness import wait_until


@contextmanager
def volatile_broker() -> Iterator[Redis]:
    """A broker of its own that writes nothing to disk: what is measured is its work, not that of the disk."""
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


def make_task(space: str, estimate: float = 60.0) -> Task:
    """A task as a visitor of a Space makes it, with arguments of the length of a prompt."""
    return Task(
        space=space,
        function=FunctionName("__main__", "generate"),
        arguments=Payload(bytes(200)),
        estimate=estimate,
        summary="a lighthouse in a storm, steps=28, seed=7",
        client="web-1",
    )
