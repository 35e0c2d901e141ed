"""What a worker says of itself in one line: ready, drained, takes tasks again; and what systemd is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces.farm.queue.control.controls import Controls, drained
from spaces_workers.link.service_manager import VARIABLE
from tests.harness import FARM_KEY, Farm
from tests.waiting import PATIENCE, wait_until

COMMAND = [sys.executable, "-m", "spaces_workers.cli"]


class Systemd:
    """The service manager of a process: a socket at which its messages arrive."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def lines(self) -> list[str]:
        """All that was told."""
        while True:
            try:
                self.told += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.told

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture
def worker(own_farm: Farm, systemd: Systemd, tmp_path: Path) -> subprocess.Popen[bytes]:
    """`zerofarm worker` as systemd starts it."""
    environment = os.environ | {
        VARIABLE: str(systemd.path),
        "ZEROFARM_URL": own_farm.broker.url_of("worker"),
        "ZEROFARM_KEY": FARM_KEY.hex(),
        "ZEROFARM_HOST": "test-host",
        "ZEROFARM_RUN_DIR": str(own_farm.run_dir),
        "ZEROFARM_STATE_DIR": str(own_farm.state_dir),
    }
    with (tmp_path / "output").open("wb") as output, (tmp_path / "errors").open("wb") as errors:
        command = [*COMMAND, "worker", "--gpus", "none"]
        made = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
    own_farm.workers.append(made)
    wait_until(lambda: "READY=1" in systemd.lines(), otherwise=(tmp_path / "errors").read_text)
    return made


def said(folder: Path) -> list[str]:
    """The lines of the worker's standing on its standard output."""
    return [line for line in (folder / "output").read_text().splitlines() if line.startswith("cpu0@test-host ")]


def test_a_worker_says_once_that_it_is_ready_and_then_computes(
    own_farm: Farm, systemd: Systemd, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert said(tmp_path) == ["cpu0@test-host is ready"]
    with own_farm.client() as client:
        child = client.submit("faults", "pid").result(timeout=PATIENCE)
        variables = Path(f"/proc/{child}/environ").read_bytes()
    assert VARIABLE.encode() not in variables, "a Space could speak for the worker"
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    assert systemd.lines() == ["READY=1", "STATUS=cpu0@test-host is ready", "STOPPING=1"]
    assert said(tmp_path) == ["cpu0@test-host is ready"]


def test_a_worker_says_how_far_it_separates_spaces(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """`zerofarm up` said it, and who starts workers alone, in containers or on further hosts, learned nothing."""
    assert "Spaces are not separated: each can read and change what this user can" in (tmp_path / "errors").read_text()


def test_a_worker_says_that_it_is_drained_when_its_task_has_ended_and_when_it_takes_tasks_again(
    own_farm: Farm, systemd: Systemd, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    controls = Controls(own_farm.queue, by="a test")
    with own_farm.client() as client:
        running = client.submit("faults", "count", 100_000, 0.01)
        assert next(iter(running)) == 0
        controls.drain("cpu0@test-host")
        beats = own_farm.queue.redis.zscore(own_farm.queue.keys.workers(), worker_name(own_farm))
        wait_until(lambda: own_farm.queue.redis.zscore(own_farm.queue.keys.workers(), worker_name(own_farm)) != beats)
        assert said(tmp_path) == ["cpu0@test-host is ready"], "it said that it was drained while it ran a task"
        running.cancel("enough")
        wait_until(lambda: len(said(tmp_path)) == 2)
        controls.undrain("cpu0@test-host")
        wait_until(lambda: len(said(tmp_path)) == 3)
    standings = ["is ready", "is drained", "takes tasks again"]
    assert said(tmp_path) == [f"cpu0@test-host {each}" for each in standings]
    assert [line for line in systemd.lines() if line.startswith("STATUS")] == [
        f"STATUS=cpu0@test-host {each}" for each in standings
    ]


def test_the_workers_of_a_container_are_drained_before_it_is_stopped_and_take_tasks_in_the_next(
    own_farm: Farm, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """What Kubernetes runs before it stops a pod."""
    environment = os.environ | {
        "ZEROFARM_URL": own_farm.broker.url_of("worker"),
        "ZEROFARM_HOST": "test-host",
        "ZEROFARM_RUN_DIR": str(own_farm.run_dir),
        "ZEROFARM_STATE_DIR": str(own_farm.state_dir),
    }
    with own_farm.client() as client:
        running = client.submit("faults", "count", 100_000, 0.01)
        assert next(iter(running)) == 0
        command = [*COMMAND, "drain", "--here"]
        drain = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: drained(own_farm.queue))
        assert drain.poll() is None, "it did not wait for the task"
        running.cancel("enough")
        assert drain.communicate(timeout=PATIENCE)[0] == "cpu0@test-host is drained\n"
        waiting = client.submit("faults", "add", 1, 2)
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        assert drained(own_farm.queue) == set()
        own_farm.start_worker()
        assert waiting.result(timeout=PATIENCE) == 3


def worker_name(farm: Farm) -> str:
    (name,) = farm.queue.leases.workers()
    return name
