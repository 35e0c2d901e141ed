"""Workers with a wrong login or key say so and leave."""

from __future__ import annotations

import socket
import subprocess

from spaces.farm.task import State
from spaces_workers.setup.farm_key import fingerprint
from spaces_workers.worker.dismissal import LOGIN_REFUSED
from tests.harness import FARM_KEY, Farm
from tests.processes.second_host import (
    COMMAND,
    OTHER_KEY,
    Host,
    open_farm,
    port,
    second,
    token_of,
)
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

__all__ = ["open_farm", "port", "second"]  # fixtures


def test_a_worker_with_a_wrong_password_says_so_and_leaves(open_farm: Farm, second: Host, port: int) -> None:
    url = f"redis://worker:a-guess@127.0.0.1:{port}/0"
    refused = second.run("worker", "--gpus", "none", ZEROFARM_URL=url, ZEROFARM_KEY=FARM_KEY.hex())
    assert refused.returncode == 1
    said = f"the broker at redis://worker:***@127.0.0.1:{port}/0 refuses the login of this host, {socket.gethostname()}"
    assert said in refused.stderr
    assert "join again. Make one on the farm's host by `zerofarm token worker`" in refused.stderr
    assert "a-guess" not in refused.stderr


def test_a_worker_whose_password_is_changed_while_it_runs_says_so_and_leaves(
    open_farm: Farm, second: Host, port: int
) -> None:
    """It tried again for ever, and only its log knew."""
    log_path = open_farm.folder / "second.log"
    environment = second.environment | {"ZEROFARM_URL": open_farm.broker.url_of("worker")}
    with log_path.open("wb") as log:
        command = [*COMMAND, "worker", "--gpus", "none"]
        worker = subprocess.Popen(command, env=environment | {"ZEROFARM_KEY": FARM_KEY.hex()}, stdout=log, stderr=log)
    open_farm.workers.append(worker)
    wait_until(second.workers)
    with open_farm.client() as client:
        running = client.submit("faults", "count", 100_000, 0.01).detach()
    wait_until(lambda: (state := open_farm.queue.state(running)) and state.state is State.RUNNING, START_PATIENCE)
    open_farm.kill_broker()
    (open_farm.folder / "broker" / "broker.password").write_text("another")
    open_farm.revive_broker()
    assert worker.wait(PATIENCE) == LOGIN_REFUSED
    assert f"redis://worker:***@127.0.0.1:{port}/0 refuses the login of this host" in log_path.read_text()


def test_a_joined_host_is_told_that_the_farms_password_has_changed(open_farm: Farm, second: Host, port: int) -> None:
    assert second.join(f"127.0.0.1:{port}", token_of(open_farm)).returncode == 0
    open_farm.kill_broker()
    (open_farm.folder / "broker" / "broker.password").write_text("another")
    open_farm.revive_broker()
    refused = second.run("join", "--gpus", "none")
    assert refused.returncode == 1
    assert "no worker could be started" in refused.stderr
    assert "refuses the login of this host" in refused.stdout + refused.stderr


def test_a_worker_with_another_key_than_the_others_is_told_both_and_leaves(
    open_farm: Farm, second: Host, port: int
) -> None:
    with (open_farm.folder / "first.log").open("wb") as log:
        first = Host(open_farm, "first")
        environment = first.environment | {"ZEROFARM_URL": open_farm.broker.url_of("worker")}
        environment["ZEROFARM_KEY"] = FARM_KEY.hex()
        worker = subprocess.Popen([*COMMAND, "worker", "--gpus", "none"], env=environment, stdout=log, stderr=log)
    open_farm.workers.append(worker)
    wait_until(first.workers)
    url = open_farm.broker.url_of("worker")
    refused = second.run("worker", "--gpus", "none", ZEROFARM_URL=url, ZEROFARM_KEY=OTHER_KEY.hex())
    assert refused.returncode == 1
    theirs, mine = fingerprint(FARM_KEY), fingerprint(OTHER_KEY)
    assert f"worker cpu0@first has the key {theirs}, worker cpu0@second has the key {mine}" in refused.stderr
    assert "Give this one the key in farm.key of the farm's state directory" in refused.stderr
    assert second.workers() == []
