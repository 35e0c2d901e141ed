"""Another host for the tests of joining: another state directory, run directory and name, on the same machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spaces_workers.broker.server_settings import Listen
from tests.harness import FARM_KEY, Farm, farm, free_port
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

COMMAND = [sys.executable, "-m", "spaces_workers.cli"]
OTHER_KEY = bytes(range(32, 64))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def open_farm(tmp_path: Path, port: int) -> Iterator[Farm]:
    """A farm whose broker listens at a port, with the Space of faults and no worker."""
    with farm(tmp_path, Listen("127.0.0.1", port)) as made:
        (tmp_path / "broker" / "farm.key").write_text(FARM_KEY.hex())
        made.register()
        yield made


class Host:
    """Another host."""

    def __init__(self, farm: Farm, name: str = "second") -> None:
        self.farm = farm
        self.state_dir = farm.folder / f"state-{name}"
        self.run_dir = farm.folder / f"run-{name}"
        self.environment = {each: value for each, value in os.environ.items() if not each.startswith("ZEROFARM_")} | {
            "ZEROFARM_HOST": name,
            "ZEROFARM_ISOLATION": "none",
            "ZEROFARM_STATE_DIR": str(self.state_dir),
            "ZEROFARM_RUN_DIR": str(self.run_dir),
        }

    def run(self, *words: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*COMMAND, *words],
            input=given,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def join(self, address: str, token: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Join without starting workers."""
        return self.run("join", address, "--token-file", "-", "--no-start", given=f"{token}\n", **variables)

    def start(self, *words: str, given: str = "") -> subprocess.Popen[str]:
        """Start `zerofarm join`, and wait until it says that its worker works: it ends if a worker dies before."""
        command = [*COMMAND, "join", *words, "--gpus", "none"]
        told = self.farm.folder / "join.log"
        log = told.open("ab")
        before = told.stat().st_size
        joined = subprocess.Popen(
            command, env=self.environment, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True
        )
        log.close()
        assert joined.stdin is not None
        with joined.stdin:
            joined.stdin.write(given)
        works = b"works for the farm"
        wait_until(lambda: joined.poll() is not None or works in told.read_bytes()[before:], START_PATIENCE)
        assert joined.poll() is None, told.read_text()
        return joined

    def workers(self) -> list[str]:
        """The workers of this host that live."""
        infos = self.farm.queue.leases.workers().values()
        return [info["node"] for info in infos if info["host"] == self.environment["ZEROFARM_HOST"]]


@pytest.fixture
def second(open_farm: Farm) -> Host:
    return Host(open_farm)


def zerofarm(farm: Farm, *words: str) -> str:
    """What a command of the operator prints, on the farm's host."""
    command = [*COMMAND, *words, "--state-dir", str(farm.folder / "broker")]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def made_token(farm: Farm) -> subprocess.CompletedProcess[str]:
    """`zerofarm token worker` on the farm's host."""
    command = [*COMMAND, "token", "worker", "--state-dir", str(farm.folder / "broker")]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)


def line_of(farm: Farm) -> list[str]:
    """The words of the line that an operator types on the other host, and the token that it asks for."""
    return zerofarm(farm, "token", "worker").split()


def token_of(farm: Farm) -> str:
    return line_of(farm)[-1]
