"""One more host joins a farm by a token: what it gets, what the token does not give, and what each refusal says.

The other host is another state directory, run directory and name, on the same machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis, ResponseError

from spaces.errors import FarmUnavailable
from spaces.farm.connection import connect
from spaces.farm.queue.control.audit import Audit
from spaces.farm.task import State
from spaces.farm.version import VERSION
from spaces_workers.broker.server_settings import Listen
from spaces_workers.joining.invitations import Invitations
from spaces_workers.joining.join_token import JoinToken
from spaces_workers.joining.ticket import Ticket
from spaces_workers.setup.farm_key import fingerprint
from spaces_workers.worker.dismissal import LOGIN_REFUSED
from tests.harness import FARM_KEY, START_PATIENCE, Farm, farm, free_port, wait_until

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
            timeout=120,
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
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def made_token(farm: Farm) -> subprocess.CompletedProcess[str]:
    """`zerofarm token worker` on the farm's host."""
    command = [*COMMAND, "token", "worker", "--state-dir", str(farm.folder / "broker")]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


def line_of(farm: Farm) -> list[str]:
    """The words of the line that an operator types on the other host, and the token that it asks for."""
    return zerofarm(farm, "token", "worker").split()


def token_of(farm: Farm) -> str:
    return line_of(farm)[-1]


# --- what works


def test_a_host_joins_by_the_printed_line_and_needs_no_token_again(open_farm: Farm, second: Host, port: int) -> None:
    line = line_of(open_farm)
    assert line[:-1] == f"zerofarm join 127.0.0.1:{port} --token-file -".split()
    joined = second.start(*line[2:-1], given=f"{line[-1]}\n")
    try:
        assert second.workers() == ["cpu0@second"]
        with open_farm.client() as client:
            assert client.submit("faults", "add", 1, 2).result(timeout=60) == 3
    finally:
        joined.terminate()
        assert joined.wait(60) == 0
    wait_until(lambda: not second.workers())
    for name in ("farm.key", "joined.url"):
        assert stat.S_IMODE((second.state_dir / name).stat().st_mode) == 0o600
    again = second.start()
    try:
        with open_farm.client() as client:
            assert client.submit("faults", "add", 1, 2).result(timeout=60) == 3
        assert second.run("ping").stdout == "cpu0@second answers\n"
    finally:
        again.terminate()
        assert again.wait(60) == 0
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
        assert joined.wait(60) == 0


def test_a_name_that_was_set_for_the_join_alone_is_kept(open_farm: Farm, second: Host, port: int) -> None:
    assert second.join(f"127.0.0.1:{port}", token_of(open_farm)).returncode == 0
    del second.environment["ZEROFARM_HOST"]
    started = second.start()
    try:
        assert [info["node"] for info in open_farm.queue.leases.workers().values()] == ["cpu0@second"]
        assert second.run("drain", "--here").stdout == "cpu0@second is drained\n"
    finally:
        started.terminate()
        assert started.wait(60) == 0


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
        assert joined.wait(60) == 0, told.read_text()
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


# --- a token works once, in its time, and for nothing else


def test_a_token_works_once(open_farm: Farm, second: Host, port: int) -> None:
    token = token_of(open_farm)
    assert second.join(f"127.0.0.1:{port}", token).returncode == 0
    third = Host(open_farm, "third")
    refused = third.join(f"127.0.0.1:{port}", token)
    assert refused.returncode == 1
    assert f"token {JoinToken.of(token).id} was used, was revoked, or has expired" in refused.stderr
    assert "`zerofarm token worker`" in refused.stderr
    assert not (third.state_dir / "joined.url").exists()


def test_a_token_expires(open_farm: Farm, second: Host, port: int) -> None:
    token = JoinToken.new(fingerprint(FARM_KEY))
    Invitations(open_farm.redis).make(token, Ticket("worker:a", FARM_KEY.hex()), 1)
    wait_until(lambda: not open_farm.redis.exists(open_farm.queue.keys.invitation(token.id)))
    refused = second.join(f"127.0.0.1:{port}", token.text)
    assert refused.returncode == 1
    assert f"token {token.id} was used, was revoked, or has expired" in refused.stderr


def test_a_token_is_listed_and_can_be_revoked(open_farm: Farm, second: Host, port: int) -> None:
    token = token_of(open_farm)
    name = JoinToken.of(token).id
    assert name in zerofarm(open_farm, "token", "list")
    (listed,) = json.loads(zerofarm(open_farm, "token", "list", "--json"))
    assert (listed["id"], listed["use"], listed["made_at"]) == (name, "join", None)
    assert zerofarm(open_farm, "token", "revoke", name) == f"Token {name} to join is revoked\n"
    assert name not in zerofarm(open_farm, "token", "list")
    refused = second.join(f"127.0.0.1:{port}", token)
    assert refused.returncode == 1
    assert f"does not know token {name}: it is of another farm, was used or revoked" in refused.stderr


def test_a_token_whose_user_the_broker_has_forgotten_is_not_listed(open_farm: Farm) -> None:
    """A broker of the operator's own that saves keys, and no users, forgets those at its next start."""
    token = JoinToken.of(token_of(open_farm))
    open_farm.redis.acl_deluser(token.user)
    assert token.id not in zerofarm(open_farm, "token", "list")
    assert zerofarm(open_farm, "token", "revoke", token.id) == f"Token {token.id} to join is revoked\n"


def test_a_token_is_good_although_another_process_forgets_users_while_it_is_made(open_farm: Farm) -> None:
    """The other process removed the user of a token whose ticket was not written yet."""
    token, other = JoinToken.new(fingerprint(FARM_KEY)), JoinToken.new(fingerprint(FARM_KEY))
    ticket = Ticket("worker:a", FARM_KEY.hex())

    class Interrupted(Redis):
        def execute_command(self, *words: Any, **options: Any) -> Any:  # Any: as redis declares it
            Invitations(open_farm.redis).make(other, ticket, 60)
            return super().execute_command(*words, **options)  # type: ignore[no-untyped-call]  # redis declares none

    with Interrupted(connection_pool=open_farm.redis.connection_pool) as redis:
        Invitations(redis).make(token, ticket, 60)
    assert {token.id, other.id} == {each.id for each in Invitations(open_farm.redis).all()}
    assert {token.user, other.user} <= {*cast("list[str]", open_farm.redis.acl_users())}


def test_a_broker_that_makes_no_users_keeps_no_ticket(open_farm: Farm) -> None:
    token = JoinToken.new(fingerprint(FARM_KEY))
    with connect(open_farm.broker.url_of("gateway"), retry=None) as redis:
        open_farm.redis.acl_setuser("gateway", keys=["*"], commands=["+acl|users"], enabled=True)
        with pytest.raises(FarmUnavailable, match="does not let this login make a user"):
            Invitations(redis).make(token, Ticket("worker:a", FARM_KEY.hex()), 60)
    assert not open_farm.redis.exists(open_farm.queue.keys.invitation(token.id))


def test_a_token_with_the_login_of_the_operator_is_told_as_such(open_farm: Farm) -> None:
    """A broker of the operator's own may have no user for workers."""
    made = made_token(open_farm)
    assert "rights" not in made.stderr
    open_farm.redis.acl_deluser("worker")
    made = made_token(open_farm)
    assert "The broker has no user `worker`: the host gets the login of --redis-url" in made.stderr


def test_the_holder_of_a_token_can_do_nothing_else_at_the_broker(open_farm: Farm, port: int) -> None:
    token = JoinToken.of(token_of(open_farm))
    with connect(f"redis://{token.user}:{token.password}@127.0.0.1:{port}/0", retry=None) as redis:
        for command in (["KEYS", "*"], ["GET", "zf:tokens"], ["ACL", "LIST"], ["EVAL", "return 1", "0"], ["PING"]):
            with pytest.raises(ResponseError, match="permission"):
                redis.execute_command(*command)
        with pytest.raises(ResponseError, match="permission"):
            redis.getdel(open_farm.queue.keys.invitation("00000000"))


def test_who_reads_the_connection_or_the_broker_gets_neither_token_nor_key(
    open_farm: Farm, second: Host, port: int
) -> None:
    token = token_of(open_farm)
    kept = cast("bytes", open_farm.redis.get(open_farm.queue.keys.invitation(JoinToken.of(token).id)))
    with Tap(port) as tap:
        joined = second.join(f"127.0.0.1:{tap.port}", token)
        assert joined.returncode == 0, joined.stderr
    read = bytes(tap.read) + kept
    assert JoinToken.of(token).user.encode() in read
    for secret in (JoinToken.of(token).secret.encode(), FARM_KEY, FARM_KEY.hex().encode()):
        assert secret not in read


class Tap:
    """Passes a connection on to a port of this machine, and reads along."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.read = bytearray()

    def __enter__(self) -> Tap:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with source, target:
            while piece := source.recv(65536):
                self.read += piece
                target.sendall(piece)


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
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
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
        assert started.wait(60) == 0


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
        [*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert refused.returncode == 1
    assert re.search(sentence, refused.stderr), refused.stderr


def test_a_farm_of_its_own_does_not_start_where_a_host_has_joined(open_farm: Farm, second: Host, port: int) -> None:
    assert second.join(f"127.0.0.1:{port}", token_of(open_farm)).returncode == 0
    refused = second.run("up")
    assert refused.returncode == 1
    assert f"this host has joined the farm of redis://worker:***@127.0.0.1:{port}" in refused.stderr
    assert "`zerofarm join`" in refused.stderr


# --- workers that do not fit


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
    assert worker.wait(60) == LOGIN_REFUSED
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
