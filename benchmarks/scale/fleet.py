"""Light workers as processes that can be killed, each with the real heartbeat and a journal of what it ran.

A task is a wait of TASK_SECONDS. A journal has a line per start and per accepted end, written before anything follows.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.light_worker import LightWorker
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.farm.task import Lease
from spaces_workers.worker.heartbeat import Heartbeat

TASK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a journal; times are of one clock for all processes."""

    time: float
    what: str  #: `start` or `end`
    task: str
    worker: str


class Fleet:
    """So many workers, of which a killed one is replaced at once under another name."""

    def __init__(self, url: str, folder: Path, size: int) -> None:
        self.killed: dict[str, float] = {}  #: workers by when they were killed
        self._url, self._folder = url, folder
        self._started = 0
        self._chance = random.Random(3)
        self._workers = dict(self._start() for _ in range(size))

    def kill_one(self) -> None:
        """kill -9."""
        name = self._chance.choice(list(self._workers))
        process = self._workers.pop(name)
        process.kill()
        self.killed[name] = time.monotonic()
        process.wait()
        self._workers.update([self._start()])

    def stop(self) -> None:
        """Stop every worker in good order."""
        for process in self._workers.values():
            process.send_signal(signal.SIGTERM)
        for process in self._workers.values():
            process.wait()

    def journal(self) -> Iterator[Entry]:
        """What all workers ever wrote."""
        for path in self._folder.glob("*.journal"):
            for line in path.read_text().splitlines():
                moment, what, task = line.split()
                yield Entry(float(moment), what, task, path.stem)

    def _start(self) -> tuple[str, subprocess.Popen[bytes]]:
        self._started += 1
        name = f"w{self._started}"
        command = [
            sys.executable,
            "-m",
            "benchmarks.scale.fleet",
            self._url,
            name,
            str(self._folder / f"{name}.journal"),
        ]
        return name, subprocess.Popen(command)


def main() -> None:
    """`python -m benchmarks.scale.fleet URL NAME JOURNAL`: one worker, until SIGTERM."""
    url, name, path = sys.argv[1:]
    journal = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(what: str, lease: Lease) -> None:
        os.write(journal, f"{time.monotonic()} {what} {lease.task.id}\n".encode())

    def serve(lease: Lease) -> None:
        note("start", lease)
        time.sleep(TASK_SECONDS)

    worker = LightWorker(url, name, serve, ended=lambda lease: note("end", lease))
    heartbeat = Heartbeat(lambda: Queue(connect(url)), name, dict, lambda *_: None, lambda: None)
    signal.signal(signal.SIGTERM, lambda *_: worker.stopping.set())
    heartbeat.start()
    worker.run()
    heartbeat.stop()


if __name__ == "__main__":
    main()
