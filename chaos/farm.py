"""A farm under test: `zerofarm up` with Spaces that fork their children, do not, or are idle now and then."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

import spaces
from chaos import shared_memory
from chaos.brokers import Brokers
from chaos.mounts import SmallDisk
from chaos.processes import Processes
from spaces import config
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.farm.values.signing import derive_space_key
from tests.broker.support import leaked_keys
from tests.end_to_end.test_up import without_a_farm, zerofarm
from tests.harness import leftovers
from tests.waiting import START_PATIENCE, wait_until

SCRIPT = Path(__file__).parent / "space" / "app.py"

#: Children of the second one run the script themselves; the last one is called now and then, and is stopped between.
SPACES = ("first", "second", "third")

#: Bytes of the disk that stands for shared memory, where this machine lets us mount one.
MEMORY_BYTES = 64 << 20

_SETTINGS = """
[isolation]
writable = ["{notes}"]
[spaces.first]
idle_after = inf
[spaces.second]
idle_after = inf
fork = false
[spaces.third]
idle_after = 2
"""


class Farm:
    """A farm that runs until `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory = SmallDisk(folder / "memory", MEMORY_BYTES)
        self.brokers = Brokers(folder / "broker")
        self.state_dir, self.run_dir = folder / "state", self.memory.folder / "run"
        self.notes = self._shared_by_spaces(folder / "notes") / "executions"
        self._before = {process.pid for process in psutil.process_iter()}
        self._shared_before = shared_memory.entries()
        self.processes = Processes([str(self.run_dir), str(self.state_dir)])
        for space in SPACES:
            (folder / space).mkdir()
            shutil.copy(SCRIPT, folder / space / "app.py")
        self._reports = folder / "reports"
        with self._reports.open("wb") as output, (folder / "errors").open("wb") as errors:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=errors, env=without_a_farm())
        wait_until(lambda: self.ready or self._process.poll() is not None, START_PATIENCE, self.errors)
        if not self.ready:
            raise RuntimeError(f"the farm did not start: {self.errors()}")

    def _shared_by_spaces(self, notes: Path) -> Path:
        """Let Spaces that are separated from each other write to this folder all the same."""
        notes.mkdir()
        (notes / "executions").touch()
        for path in (self.folder, notes, notes / "executions"):
            path.chmod(0o777)
        self.state_dir.mkdir()
        (self.state_dir / "farm.toml").write_text(_SETTINGS.format(notes=notes))
        return notes

    @property
    def _command(self) -> list[str]:
        return [
            *(*zerofarm(), "up", *(str(self.folder / space) for space in SPACES), "--json", "--port", "0"),
            *("--gpus", "none", "--workers", "2", "--redis-url", self.brokers.url),
            *("--state-dir", str(self.state_dir), "--run-dir", str(self.run_dir)),
        ]

    @property
    def ready(self) -> dict[str, Any]:  # Any: JSON
        """The report that everything answers; empty before."""
        for line in self._reports.read_text().splitlines():
            if line.startswith('{"event": "ready"'):
                found: dict[str, Any] = json.loads(line)
                return found
        return {}

    @property
    def is_up(self) -> bool:
        return self._process.poll() is None

    def errors(self) -> str:
        """What it has written to the operator as an error."""
        return (self.folder / "errors").read_text()

    def program(self, space: str) -> spaces.Farm:
        """A program that calls the functions of a Space."""
        here = replace(config.current(), run_dir=self.run_dir)
        key = bytes.fromhex((self.state_dir / "farm.key").read_text().strip())
        with config.stand_in(here):
            return spaces.Farm(self.brokers.url, derive_space_key(key, space).hex())

    def warm_up(self) -> None:
        """Call each Space once: only then has each of them a zygote and a child."""
        calls = [self.program(space).submit(space, "work", f"warm-{space}", 0.0, str(self.notes)) for space in SPACES]
        for call in calls:
            call.result(timeout=START_PATIENCE)

    def pids(self, kind: str) -> list[int]:
        """The processes of one kind."""
        return [self.brokers.primary.pid] if kind == "broker" else self.processes.pids(kind)

    @contextmanager
    def one_more_worker(self, variables: Mapping[str, str]) -> Iterator[None]:
        """A worker that `zerofarm up` has not started, with these variables."""
        folders = ("--state-dir", str(self.state_dir), "--run-dir", str(self.run_dir))
        command = [*zerofarm(), "worker", "--gpus", "none", "--name", "more", *folders]
        environment = without_a_farm() | {"REDIS_URL": self.brokers.url, **variables}
        # The shell opens the log: a file that a caller writes to a temporary folder travels with its calls.
        logged = ["sh", "-c", 'exec "$@" >> "$0" 2>&1', str(self.folder / "more.log"), *command]
        worker = subprocess.Popen(logged, env=environment)
        try:
            wait_until(lambda: worker.poll() is not None or worker.pid in self._workers())
            yield
        finally:
            worker.terminate()
            worker.wait(30)
            shared_memory.remove_clocks()

    def _workers(self) -> set[int]:
        with self.brokers.primary.connection() as redis:
            return {info["pid"] for info in Queue(redis).leases.workers().values()}

    def unended(self) -> int:
        """Tasks that wait or run."""
        with connect(self.brokers.url) as redis:
            queue = Queue(redis)
            held = sum(redis.scard(key) for key in redis.scan_iter(queue.keys.held("*")))
            return int(redis.zcard(queue.keys.arrivals()) + held)

    def left_in_broker(self) -> list[str]:
        """Keys that stay for ever and should not."""
        with connect(self.brokers.url) as redis:
            return leaked_keys(Queue(redis))

    def payloads(self) -> int:
        """Payloads in shared memory and in the broker."""
        with connect(self.brokers.url) as redis:
            in_broker = sum(1 for _ in redis.scan_iter(Queue(redis).keys.blob("*")))
        return in_broker + sum(1 for _ in (self.run_dir / "blobs").glob("*"))

    def stop(self) -> list[str]:
        """Stop everything. Returns the processes, and the files in shared memory, that are left ten seconds later."""
        if self.is_up:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        self._process.kill()
        self._process.wait()
        self.brokers.close()
        with suppress(AssertionError):
            wait_until(lambda: not leftovers(self._before, self.folder), 10)
        left = leftovers(self._before, self.folder)
        for line in left:
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        shared_memory.remove_clocks()
        left += shared_memory.left_since(self._shared_before, self._users())
        self.memory.close()
        return left

    def _users(self) -> set[int]:
        """Those of the Spaces, if each has one."""
        given = self.state_dir / "users.json"
        return {*json.loads(given.read_text()).values()} if given.exists() else set()
