"""One more host joins a farm by a token: what it gets, and what each refusal says."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from spaces.farm.queue.control.audit import Audit
from spaces.farm.version import VERSION
from spaces_workers.joining.join_token import JoinToken
from spaces_workers.setup.farm_key import fingerprint
from tests.harness import FARM_KEY, Farm, free_port
from tests.processes.second_host import (
    COMMAND,
    OTHER_KEY,
    Host,
    line_of,
    made_token,
    open_farm,
    port,
    second,
    token_of,
)
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

__all__ = ["open_farm", "port", "second"]  # fixtures


# --- what works


def test_a_host_joins_by_the_printed_line_and_needs_no_token_again(open_farm: Farm, second: Host, port: int) -> None:
    line = line_of(open_farm)
    assert line[:-1] == f"zerofarm join 127.0.0.1:{port} --token-file -".split()
    joined = second.start(*line[2:-1], given=f"{line[-1]}\n")
    try:
        assert second.workers() == ["cpu0@second"]
        with open_farm.client() as client:
            assert client.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
    finally:
        joined.terminate()
        assert joined.wait(PATIENCE) == 0
    wait_until(lambda: not second.workers())
    for name in ("farm.key", "joined.url"):
        assert stat.S_IMODE((second.state_dir / name).stat().st_mode) == 0o600
    again = second.start()
    try:
        with open_farm.client() as client:
            assert client.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
        assert second.run("ping").stdout == "cpu0@second answers\n"
    finally:
        again.terminate()
        assert again.wait(PATIENCE) == 0
    noted = {(each.verb, each.target) for each in Audit(open_farm.redis).latest(10)}
    assert {("make token", "a host"), ("join", "second")} <= noted


def test_a_worker_of_a_joined_host_that_dies_is_started_again(open_farm: Farm, second: Host, port: int) -> None:
    joined = second.start(f"127.0.0.1:{port}", "--token-file", "-", given=f"{token_of(open_farm)}\n")
    try:
        (first,) = [info["pid"] for info in open_farm.queue.leases.workers().values()]
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: {info["pid"] for info in open_farm.queue.leases.workers().values()} - {first})
    finally:
        joined.terminate()
        assert joined.wait(PATIENCE) == 0


def test_a_name_that_was_set_for_the_join_alone_is_kept(open_farm: Farm, second: Host, port: int) -> None:
    assert second.join(f"127.0.0.1:{port}", token_of(open_farm)).returncode == 0
    del second.environment["ZEROFARM_HOST"]
    started = second.start()
    try:
        assert [info["node"] for info in open_farm.queue.leases.workers().values()] == ["cpu0@second"]
        assert second.run("drain", "--here").stdout == "cpu0@second is drained\n"
    finally:
        started.terminate()
        assert started.wait(PATIENCE) == 0


def test_a_token_that_is_typed_at_a_terminal_is_not_shown(open_farm: Farm, second: Host, port: int) -> None:
    token, told = token_of(open_farm), open_farm.folder / "typed.log"
    near, far = os.openpty()
    command = [*COMMAND, "join", f"127.0.0.1:{port}", "--token-file", "-", "--no-start"]
    with told.open("wb") as log:
        joined = subprocess.Popen(
            command, env=second.environment, stdin=far, stdout=log, stderr=log, start_new_session=True
        )
    os.close(far)
    try:
        wait_until(lambda: joined.poll() is not None or "Token: " in told.read_text(), START_PATIENCE)
        os.write(near, f"{token}\n".encode())
        assert joined.wait(PATIENCE) == 0, told.read_text()
        assert token not in told.read_text() + "".join(_shown(near))
    finally:
        joined.kill()
        joined.wait()
        os.close(near)


def _shown(terminal: int) -> Iterator[str]:
    """The text on a terminal that no process has open any more."""
    with suppress(OSError):
        while piece := os.read(terminal, 4096):
            yield piece.decode()


# --- refusals: each names both sides and the remedy


def test_a_host_with_another_key_is_told_both_and_the_token_stays_good(
    open_farm: Farm, second: Host, port: int
) -> None:
    token = token_of(open_farm)
    second.state_dir.mkdir()
    (second.state_dir / "farm.key").write_text(OTHER_KEY.hex())
    theirs, mine = fingerprint(FARM_KEY), fingerprint(OTHER_KEY)
    refused = second.join(f"127.0.0.1:{port}", token)
    assert refused.returncode == 1
    assert (
        f"the farm has the key {theirs}, this host has the key {mine} in {second.state_dir}/farm.key" in refused.stderr
    )
    assert "Give another --state-dir, or remove that file" in refused.stderr
    (second.state_dir / "farm.key").unlink()
    refused = second.join(f"127.0.0.1:{port}", token, ZEROFARM_KEY=OTHER_KEY.hex())
    assert f"the key {mine} in $ZEROFARM_KEY. Unset that" in refused.stderr
    assert second.join(f"127.0.0.1:{port}", token).returncode == 0


def test_an_address_where_nothing_answers_is_named_with_what_the_farm_must_do(open_farm: Farm, second: Host) -> None:
    token, closed = token_of(open_farm), free_port()
    refused = second.join(f"127.0.0.1:{closed}", token)
    assert refused.returncode == 1
    assert f"no broker answers at 127.0.0.1:{closed} to this host, {socket.gethostname()}" in refused.stderr
    assert "`zerofarm up --broker-at ADDRESS:6379`" in refused.stderr


def test_a_broker_that_listens_for_its_own_host_alone_is_told_on_both_sides(
    open_farm: Farm, second: Host, port: int
) -> None:
    made = made_token(open_farm)
    assert (
        f"The broker listens at 127.0.0.1:{port}, for this host alone. Start the farm by `zerofarm up --broker-at"
        in (made.stderr)
    )
    refused = second.join(f"127.0.0.2:{port}", made.stdout.split()[-1])  # as another address of the farm's host
    assert refused.returncode == 1
    assert f"no broker answers at 127.0.0.2:{port}" in refused.stderr
    assert "perhaps for its own host alone" in refused.stderr


def test_a_farm_without_a_port_for_its_broker_says_how_to_get_one(own_farm: Farm) -> None:
    command = [*COMMAND, "token", "worker", "--state-dir", str(own_farm.folder / "broker")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert refused.returncode == 1
    assert "the broker of this farm listens at a socket of this host alone" in refused.stderr
    assert "`zerofarm up --broker-at ADDRESS:6379`" in refused.stderr


def test_what_is_no_broker_is_named(open_farm: Farm, second: Host) -> None:
    token = token_of(open_farm)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        refused = second.join(place, token)
    assert refused.returncode == 1
    assert f"no broker answers at {place}" in refused.stderr


def test_another_version_is_told_on_both_sides_and_the_token_stays_good(
    open_farm: Farm, second: Host, port: int
) -> None:
    token = JoinToken.of(token_of(open_farm))
    refused = second.join(f"127.0.0.1:{port}", replace(token, version=VERSION + 2).text)
    assert refused.returncode == 1
    assert (
        f"the farm at 127.0.0.1:{port} has version {VERSION + 2} of the farm's formats, this process has {VERSION}"
        in (refused.stderr)
    )
    assert "Update the zerofarm of this process" in refused.stderr
    assert second.join(f"127.0.0.1:{port}", token.text).returncode == 0


def test_two_hosts_of_one_name_are_told_apart(open_farm: Farm, port: int) -> None:
    open_farm.start_worker()
    namesake = Host(open_farm, "test-host")
    refused = namesake.join(f"127.0.0.1:{port}", token_of(open_farm))
    assert refused.returncode == 1
    assert "the farm has the worker cpu0@test-host, which does not run here" in refused.stderr
    assert "Set $ZEROFARM_HOST here to a name that no other host of the farm has" in refused.stderr


def test_two_hosts_of_one_name_that_join_before_either_starts_are_told_apart_at_the_start(
    open_farm: Farm, second: Host, port: int
) -> None:
    namesake = Host(open_farm, "namesake")
    namesake.environment["ZEROFARM_HOST"] = "second"
    for host in (second, namesake):
        assert host.join(f"127.0.0.1:{port}", token_of(open_farm)).returncode == 0
    started = second.start()
    try:
        refused = namesake.run("join", "--gpus", "none")
        assert refused.returncode == 1
        assert "the farm has the worker cpu0@second, which does not run here" in refused.stderr
    finally:
        started.terminate()
        assert started.wait(PATIENCE) == 0


def test_a_host_of_a_name_that_is_taken_joins_by_its_second_attempt_without_a_token(open_farm: Farm, port: int) -> None:
    """The first attempt used the token up, and kept nothing for it."""
    open_farm.start_worker()
    namesake = Host(open_farm, "test-host")
    refused = namesake.join(f"127.0.0.1:{port}", token_of(open_farm))
    assert refused.returncode == 1
    assert "Then type `zerofarm join`: it needs no token again" in refused.stderr
    renamed = namesake.run("join", "--no-start", ZEROFARM_HOST="renamed")
    assert renamed.returncode == 0, renamed.stderr
    assert stat.S_IMODE((namesake.state_dir / "joined.url").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["join"], "has not joined a farm, as .* has it. Type here the line that `zerofarm token worker` prints"),
        (["join", "farm:6379"], "a token to join a farm begins with zfjoin_, got 0 characters"),
        (["join", "farm:6379", "--token-file", "nowhere"], "--token-file nowhere cannot be read"),
        (["join", "http://farm"], "the address of a farm is that of its broker, HOST:PORT"),
        (["join", "[10.0.0.1:6379"], "the address of a farm is that of its broker, HOST:PORT"),
        (["up", "--broker-at", "farm:0"], "--broker-at must be HOST:PORT or a port from 1 to 65535, got farm:0"),
        (["up", "--broker-at", "1", "--redis-url", "redis://a"], "--broker-at is for the farm's own broker"),
    ],
)
def test_a_mistyped_command_is_refused_in_a_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    token = JoinToken.new("00000000").text if {"http://farm", "[10.0.0.1:6379"} & {*words} else ""
    environment = os.environ | {"ZEROFARM_STATE_DIR": str(tmp_path / "s"), "ZEROFARM_JOIN_TOKEN": token}
    environment |= {"ZEROFARM_RUN_DIR": str(tmp_path / "r")}
    refused = subprocess.run(
        [*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert refused.returncode == 1
    assert re.search(sentence, refused.stderr), refused.stderr


def test_a_farm_of_its_own_does_not_start_where_a_host_has_joined(open_farm: Farm, second: Host, port: int) -> None:
    assert second.join(f"127.0.0.1:{port}", token_of(open_farm)).returncode == 0
    refused = second.run("up")
    assert refused.returncode == 1
    assert f"this host has joined the farm of redis://worker:***@127.0.0.1:{port}" in refused.stderr
    assert "`zerofarm join`" in refused.stderr
