"""A whole farm whose Spaces compute on another host, which has joined by one line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from tests.end_to_end.test_up import Up, serving, without_a_farm, zerofarm
from tests.harness import SPACES, free_port
from tests.waiting import PATIENCE, START_PATIENCE, wait_until


@contextmanager
def joined(farm: Up, words: list[str], folder: Path) -> Iterator[psutil.Process]:
    """Another host, on which an operator has typed the line and then the token, while its worker lives."""
    *line, token = words
    command = [*zerofarm(), *line[line.index("join") :], "--gpus", "none"]
    command += ["--state-dir", str(folder / "state"), "--run-dir", str(folder / "run")]
    environment = without_a_farm() | {"ZEROFARM_HOST": "second"}
    host = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, text=True)
    try:
        assert host.stdin is not None
        with host.stdin:
            host.stdin.write(f"{token}\n")
        with connect((farm.state_dir / "broker.url").read_text()) as redis:
            leases = Queue(redis).leases
            wait_until(lambda: "second" in {info["host"] for info in leases.workers().values()}, START_PATIENCE)
        yield psutil.Process(host.pid)
    finally:
        host.terminate()
        assert host.wait(PATIENCE) == 0


def test_a_page_computes_on_a_host_that_has_joined(tmp_path: Path) -> None:
    farm = Up(tmp_path, str(SPACES / "echo"), "--gpus", "none", "--broker-at", str(free_port()), "--no-flower")
    with serving(farm):
        (own,) = (worker["name"] for worker in farm.ready()["workers"])
        made = farm.run("token", "worker")
        with joined(farm, made.stdout.split(), tmp_path / "second") as host:
            assert farm.run("drain", own).stdout == f"{own} is drained\n"
            text, pid = str(farm.client().predict("hello", api_name="/echo")).split(" from process ")
            assert text == "hello"
            assert host in psutil.Process(int(pid)).parents()
