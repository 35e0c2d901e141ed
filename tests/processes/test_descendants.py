"""Whatever a child starts ends with it, also what left its process group and whose own parent has ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

import spaces
from spaces.errors import ChildCrashed, TaskCancelled, TimeLimitExceeded
from spaces.farm.task import State
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until


def pid_in(path: Path) -> int:
    return int(wait_until(lambda: path.exists() and path.read_text()))


def test_a_daemon_ends_with_the_time_limit_of_its_task(client: spaces.Farm, tmp_path: Path) -> None:
    """It lived on, and would have kept its GPU."""
    path = tmp_path / "pid"
    with pytest.raises(TimeLimitExceeded):
        client.submit("faults", "detach", str(path), 600.0, duration=1).result(timeout=PATIENCE)
    wait_until(lambda: not psutil.pid_exists(pid_in(path)))


def test_a_daemon_ends_with_a_child_that_leaves(client: spaces.Farm, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with pytest.raises(ChildCrashed):
        client.submit("faults", "detach", str(path), 0.0, 3).result(timeout=PATIENCE)
    wait_until(lambda: not psutil.pid_exists(pid_in(path)))


def test_a_daemon_serves_later_tasks_of_its_child(client: spaces.Farm, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    child = client.submit("faults", "detach", str(path)).result(timeout=PATIENCE)
    assert client.submit("faults", "pid").result(timeout=PATIENCE) == child
    assert psutil.Process(pid_in(path)).ppid() == child
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid_in(path)))


def test_a_daemon_is_left_alone_when_another_child_of_its_zygote_ends(own_farm: Farm, tmp_path: Path) -> None:
    own_farm.start_worker("first")
    own_farm.start_worker("second")
    paths = [tmp_path / "one", tmp_path / "two"]
    with own_farm.client() as client:
        handles = [client.submit("faults", "detach", str(path), 600.0, duration=600) for path in paths]
        one, two = [pid_in(path) for path in paths]
        os.kill(psutil.Process(one).ppid(), signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(one))
        assert psutil.pid_exists(two)
        with pytest.raises(ChildCrashed):
            handles[0].result(timeout=PATIENCE)
        assert handles[1].state is State.RUNNING
        handles[1].cancel()
        with pytest.raises(TaskCancelled):
            handles[1].result(timeout=PATIENCE)


def test_a_daemon_ends_with_a_worker_that_is_killed(own_farm: Farm, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    worker = own_farm.start_worker()
    with own_farm.client() as client:
        client.submit("faults", "detach", str(path)).result(timeout=PATIENCE)
        worker.kill()
        wait_until(lambda: not psutil.pid_exists(pid_in(path)))


def test_a_daemon_ends_with_its_child_though_the_zygote_is_dead(own_farm: Farm, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    own_farm.start_worker()
    with own_farm.client() as client:
        child = client.submit("faults", "detach", str(path)).result(timeout=PATIENCE)
        zygote = psutil.Process(child).parent()
        assert zygote is not None
        zygote.kill()
        wait_until(lambda: psutil.Process(child).ppid() != zygote.pid)
        assert client.submit("faults", "pid").result(timeout=PATIENCE) == child
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(pid_in(path)))
