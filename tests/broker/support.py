"""Shared by the tests of the broker layer: tasks, a server that can be killed, and waiting for a condition."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from redis import ConnectionError as BrokerGone
from redis import Redis

from spaces.farm import wire
from spaces.farm.connection import connect
from spaces.farm.events import Event
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.claiming import Claimed
from spaces.farm.queue.estimates import EstimateRules
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, State, Task
from spaces_workers.broker.binary import find_server
from tests.waiting import wait_until

MESSAGE = b'{"a": "message"}'

#: A second of estimate is a second of rank, so that a test can say where its tasks stand.
PLAIN = Rules(EstimateRules(weight=1.0, floor=0.0, cap=math.inf))
SIZES = (Size.LARGE, Size.XLARGE)

#: A worker as it describes itself.
WORKER: dict[str, Any] = {
    "node": "gpu0@host",
    "host": "host",
    "pid": 1,
    "device": "a GPU",
    "sizes": ["large"],
    "done": 0,
    "memory_bytes": 0,
    "held_bytes": 0,
    "busy": [],
    "warm": [],
}


def make_task(
    space: str = "digits",
    estimate: float = 10.0,
    size: str = Size.LARGE,
    client: str = "",
    summary: str = "7, steps=20",
) -> Task:
    return Task(
        space=space,
        function=FunctionName("__main__", "generate"),
        arguments=Payload(b"arguments"),
        size=size,
        estimate=estimate,
        time_limit=60.0,
        summary=summary,
        client=client,
    )


def pushed(queue: Queue, **options: object) -> Task:
    task = make_task(**options)  # type: ignore[arg-type]  # the options of make_task
    assert queue.push(task, MESSAGE)
    return task


def claimed(queue: Queue, worker: str = "w1") -> Claimed:
    found = queue.claim(worker, SIZES)
    assert found is not None
    return found


def events_of(queue: Queue, task: str) -> list[tuple[int, Event]]:
    """What stands in a task's stream, with the attempt that said it."""
    entries = cast(list[tuple[bytes, dict[bytes, bytes]]], queue.redis.xrange(queue.keys.events(task)))
    return [(int(fields[b"n"]), wire.unpack(fields[b"e"])) for _, fields in entries]


def said(queue: Queue, task: str) -> list[Event]:
    return [event for _, event in events_of(queue, task)]


def state_of(queue: Queue, task: Task) -> State:
    state = queue.state(task.id)
    assert state is not None
    return state.state


def expire_worker(queue: Queue, worker: str) -> None:
    """As if the worker had not beaten for the time of its lease."""
    queue.redis.zadd(queue.keys.workers(), {worker: 1.0})


def expire_client(queue: Queue, client: str) -> None:
    queue.redis.zadd(queue.keys.clients(), {client: 1.0})


def in_thread(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def leaked_keys(queue: Queue) -> list[str]:
    """The keys that have no lifetime and are not on the list of permanent ones."""
    names = [name.decode() for name in queue.redis.scan_iter()]
    return [name for name in names if queue.redis.ttl(name) == -1 and not Keys().is_permanent(name)]


def answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except BrokerGone:
        return False


class Server:
    """A broker that can be killed without warning and restarted with all data that it had confirmed.

    It flushes after each command: with a flush each second, a busy disk could lose confirmed data, which is not tested.
    """

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "server.sock"
        self.url = f"redis+socket://{self.socket}"
        self._command = [
            *(str(find_server()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--logfile", str(folder / "log")),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with connect(self.url) as client:
            wait_until(lambda: answers(client))

    def kill(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
