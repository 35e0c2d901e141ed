"""Spaces of tests as forks of a fork server, as `zerofarm up` has them: pages, and zygotes by a nursery.

`TEST_FORKED=1` has all farms of the harness start Spaces so. One fork server serves all tests of a run.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from spaces_workers.forkserver import client
from spaces_workers.forkserver.client import ForkedProcess
from spaces_workers.isolation import MODULE, variables_of
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.kill_on_close import Bond
from spaces_workers.link.messages import Spawn
from spaces_workers.setup import process_environment

#: Whether the farms of this run have their Spaces forked.
FORKED = bool(os.environ.get("TEST_FORKED"))

#: Of the fork server, which outlives the tests that change their own environment.
_ENVIRONMENT = process_environment.of_fork_server()


class ForkedPage:
    """The web process of a Space, with as much of `subprocess.Popen` as tests use."""

    def __init__(self, process: ForkedProcess, bond: Bond) -> None:
        self.pid = process.pid
        self._process = process
        self._bond = bond

    def poll(self) -> int | None:
        try:
            return self.wait(0.0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


def fork_page(app_file: Path, environment: Mapping[str, str], log: Path, python: Path) -> ForkedPage:
    """Fork the web process of a Space. Fails the test if the fork server refuses it."""
    bond = Bond()
    spawn = Spawn(str(app_file), tuple(environment.items()), str(log), is_zygote=False)
    process = client.fork(_fork_server(python), spawn, bond.fileno())
    bond.given()
    assert process is not None, log.read_text()
    return ForkedPage(process, bond)


def start_nursery(run_dir: Path, log_dir: Path, python: Path) -> subprocess.Popen[bytes]:
    """Start the nursery of a farm, which has its zygotes forked."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = client.socket_path(run_dir, log_dir)
    link.unlink(missing_ok=True)
    link.symlink_to(_fork_server(python))
    command = [sys.executable, *MODULE, "spaces_workers.nursery.server", str(run_dir), str(log_dir), "preload"]
    environment = os.environ | {"ZEROFARM_RUN_DIR": str(run_dir), "ZEROFARM_HOST": "test-host"}
    with (log_dir / "nursery.log").open("ab") as log:
        return subprocess.Popen(tied(command), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


@cache
def _fork_server(python: Path) -> Path:
    """The socket of the fork server of an interpreter."""
    folder = Path(tempfile.mkdtemp(prefix="zerofarm-test-forks-"))
    environment = _ENVIRONMENT | variables_of(python)
    environment = {name: value for name, value in environment.items() if not name.startswith("KMP_")}  # by scikit-learn
    command = [str(python), *client.command(folder / "socket")[1:]]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(tied(command), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(process.kill)
    while not (folder / "socket").exists():
        assert process.poll() is None, (folder / "log").read_text()
    return folder / "socket"
