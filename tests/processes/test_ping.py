"""`zerofarm ping`: the health of the workers that run here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import FARM_KEY, Farm
from tests.waiting import PATIENCE, wait_until


def ping(farm: Farm, seconds: int = 60) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "ping", "--timeout", str(seconds)]
    return subprocess.run(command, env=environment(farm), capture_output=True, text=True, timeout=PATIENCE, check=False)


COMMAND = [sys.executable, "-m", "spaces_workers.cli"]


def environment(farm: Farm) -> dict[str, str]:
    own = {"ZEROFARM_URL": farm.broker.url_of("worker"), "ZEROFARM_KEY": FARM_KEY.hex(), "ZEROFARM_HOST": "test-host"}
    return os.environ | own | {"ZEROFARM_RUN_DIR": str(farm.run_dir), "ZEROFARM_STATE_DIR": str(farm.state_dir)}


@pytest.fixture
def worker(own_farm: Farm, tmp_path: Path) -> subprocess.Popen[bytes]:
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen([*COMMAND, "worker", "--gpus", "none"], env=environment(own_farm), stderr=log)
    own_farm.workers.append(worker)
    wait_until(lambda: any(info.get("pid") == worker.pid for info in own_farm.queue.leases.workers().values()))
    return worker


def test_a_worker_that_hears_is_healthy(own_farm: Farm, worker: subprocess.Popen[bytes]) -> None:
    answer = ping(own_farm)
    assert (answer.returncode, answer.stdout) == (0, "cpu0@test-host answers\n"), answer.stderr


def test_a_worker_that_is_stuck_is_not_and_is_named(own_farm: Farm, worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGSTOP)
    try:
        answer = ping(own_farm, seconds=4)
    finally:
        worker.send_signal(signal.SIGCONT)
    assert answer.returncode == 1
    assert "cpu0@test-host did not answer within 4 s" in answer.stderr


def test_where_no_worker_runs_nothing_is_healthy(own_farm: Farm, worker: subprocess.Popen[bytes]) -> None:
    """A worker of another machine, or one that was killed, left its claim behind."""
    worker.kill()
    worker.wait()
    answer = ping(own_farm)
    assert answer.returncode == 1
    assert "no worker runs here" in answer.stderr
