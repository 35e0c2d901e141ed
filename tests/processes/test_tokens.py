"""Programs and pages of other hosts: what a token lets them do at the gateway, and what its refusal tells them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import spaces
from spaces import config
from spaces.errors import RefusedError, TaskCancelled
from spaces.farm import wire
from spaces.farm.links import messages as says
from spaces.farm.links.frames import HEADER, frame
from spaces.farm.links.gateway_address import connected
from spaces.farm.queue.control.audit import Audit
from spaces.farm.queue.registry import SpaceRecord
from spaces.farm.values.signing import derive_space_key
from spaces.farm.version import VERSION
from spaces_workers.gateway.admission import MOST_OF_A_TOKEN
from spaces_workers.gateway.tokens import Tokens, Use
from tests.harness import FARM_KEY, SPACES, Farm, free_port
from tests.processes.gateway_line import BarePage, task_of
from tests.waiting import PATIENCE, START_PATIENCE, wait_until

DAY = 24 * 3600.0


class Remote:
    """A farm whose gateway other hosts reach."""

    def __init__(self, farm: Farm) -> None:
        port = free_port()
        farm.start_gateway("faults", port=port)
        self.farm = farm
        self.address = f"gateway://127.0.0.1:{port}"
        self.tokens = Tokens(farm.redis)

    def token(self, space: str = "faults", use: Use = Use.CALL, seconds: float = DAY) -> str:
        return self.tokens.new(space, seconds, use)[1]

    def program(self, token: str) -> spaces.Farm:
        """A program on another host."""
        with config.stand_in(replace(config.current(), run_dir=self.farm.folder / "elsewhere", host="elsewhere")):
            return spaces.Farm(self.address, token=token)

    def bare(self, token: str, client: str = "0123456789ab") -> tuple[BarePage, object]:
        """A connection that speaks the protocol itself, and what the gateway answered first."""
        page = BarePage(connected(self.address))
        return page, page.ask(says.Hello(client, VERSION, token))


@pytest.fixture(scope="module")
def remote(shared_farm: Farm) -> Remote:
    return Remote(shared_farm)


@pytest.fixture
def program(remote: Remote) -> Iterator[spaces.Farm]:
    with remote.program(remote.token()) as farm:
        yield farm


# --- what works


def test_a_program_with_a_token_calls_streams_and_stops(program: spaces.Farm) -> None:
    assert program.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
    assert list(program.submit("faults", "count", 300)) == list(range(300))
    running = program.submit("faults", "nap", 600)
    running.cancel("enough")
    with pytest.raises(TaskCancelled, match="enough"):
        running.result(timeout=PATIENCE)


def test_large_values_and_detached_tasks_pass_too(program: spaces.Farm) -> None:
    data = os.urandom(3_000_000)
    assert program.submit("faults", "echo", data).result(timeout=PATIENCE) == data
    task_id = program.submit("faults", "add", 2, 2).detach()
    assert program.task(task_id).result(timeout=PATIENCE) == 4


def test_the_environment_names_gateway_and_token(remote: Remote) -> None:
    code = "import spaces\nwith spaces.Farm() as farm: print(farm.submit('faults', 'add', 1, 2).result())"
    environment = os.environ | {"ZEROFARM_URL": remote.address, "ZEROFARM_TOKEN": remote.token()}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (found.stdout, found.returncode) == ("3\n", 0), found.stderr


def test_a_page_with_a_token_serves_its_space_without_a_secret_of_the_farm(own_farm: Farm, tmp_path: Path) -> None:
    """`zerofarm web` on another host: its code reaches the worker, and what it names on its own disk does not."""
    own_farm.start_worker()
    remote = Remote(own_farm)
    command = [sys.executable, "-m", "spaces_workers.cli", "web", str(SPACES / "studio"), "--port", str(free_port())]
    command += ["--no-isolate", "--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]
    environment = os.environ | {"ZEROFARM_URL": remote.address, "ZEROFARM_TOKEN": remote.token("studio", Use.SERVE)}
    environment["ZEROFARM_TOKEN"] += f".{derive_space_key(FARM_KEY, 'studio').hex()}"  # as the command makes it
    log = tmp_path / "web.log"
    with log.open("wb") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as page:
        try:
            registered = own_farm.queue.keys.space("studio")
            wait_until(lambda: own_farm.redis.exists(registered), START_PATIENCE, log.read_text)
            record = own_farm.registry.find("studio")
            assert (record.root, record.app_file) == ("/dev/null/studio", "/dev/null/studio/app.py")
            with remote.program(remote.token("studio")) as program:
                assert list(program.submit("studio", "count", 3, 0.0)) == ["0", "1", "2"]
            told = Path(f"/proc/{page.pid}/environ").read_bytes()
            assert FARM_KEY.hex().encode() not in told
            assert own_farm.broker.url.encode() not in told
            assert "its page is separated from nothing" in log.read_text()
        finally:
            page.terminate()


# --- what is refused, in a sentence with its remedy


def wrong(remote: Remote) -> str:
    return remote.token()[:-4] + "AAAA"


def unknown(remote: Remote) -> str:
    return "zf_00000000_" + "A" * 43


def expired(remote: Remote) -> str:
    return remote.token(seconds=-1.0)


def revoked(remote: Remote) -> str:
    record, text = remote.tokens.new("faults", DAY, Use.CALL)
    remote.tokens.revoke(record.id)
    return text


def missing(_: Remote) -> str:
    return ""


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (wrong, r"does not know this token. Make one on the farm's host by `zerofarm token new --space NAME`"),
        (unknown, r"does not know this token. Make one on the farm's host by `zerofarm token new --space NAME`"),
        (expired, r"token [0-9a-f]{8} expired on 20.* UTC. Make one .* by `zerofarm token new --space faults`"),
        (revoked, r"token [0-9a-f]{8} was revoked on 20.* UTC. Make one .* by `zerofarm token new --space faults`"),
        (missing, r"this gateway asks for a token. Make one .* give it as spaces.Farm\(url, token=...\) or \$ZEROFARM"),
    ],
)
def test_a_token_that_is_not_valid_is_refused(remote: Remote, token: Callable[[Remote], str], sentence: str) -> None:
    with remote.program(token(remote)) as program, pytest.raises(RefusedError, match=sentence):
        program.submit("faults", "add", 1, 2)


def test_a_token_of_another_space_is_refused(remote: Remote) -> None:
    sentence = r"token [0-9a-f]{8} is for Space 'other', not for 'faults'. Make one .* --space faults`"
    with remote.program(remote.token("other")) as program, pytest.raises(RefusedError, match=sentence):
        program.submit("faults", "add", 1, 2)


def test_a_text_that_is_no_token_is_refused_without_being_repeated(remote: Remote) -> None:
    with pytest.raises(RefusedError, match="a token has the form zf_ID_SECRET") as refused:
        remote.program("my-password")
    assert "my-password" not in str(refused.value)


def test_a_token_for_a_broker_is_refused(remote: Remote) -> None:
    with pytest.raises(RefusedError, match="this address is a broker's"):
        spaces.Farm(remote.farm.broker.url, token=remote.token())


def test_a_program_of_another_version_is_refused_in_a_sentence(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces.farm.links.line.VERSION", VERSION + 2)
    sentence = f"the page has version {VERSION + 2} of the farm's formats, .* only neighbours understand each other"
    with remote.program(remote.token()) as program, pytest.raises(RefusedError, match=sentence):
        program.submit("faults", "add", 1, 2)


def test_who_is_connected_is_told_when_the_token_is_revoked(remote: Remote) -> None:
    record, text = remote.tokens.new("faults", DAY, Use.CALL)
    with remote.program(text) as program:
        stream = program.submit("faults", "count", 10_000, 0.01)
        assert next(iter(stream)) == 0
        remote.tokens.revoke(record.id)
        with pytest.raises(RefusedError, match=f"token {record.id} was revoked"):
            list(stream)
        with pytest.raises(RefusedError, match=f"token {record.id} was revoked"):
            program.submit("faults", "add", 1, 2)
    remote.farm.queue.cancel(stream.id, "the end of the test")


def test_a_token_expires_while_its_holder_is_connected_and_says_nothing(remote: Remote) -> None:
    page, welcome = remote.bare(remote.token(seconds=1.0))
    with page.socket:
        assert isinstance(welcome, says.Welcome)
        with pytest.raises(ConnectionError):
            wait_until(lambda: not page.next())


# --- what a holder cannot do


def test_a_program_cannot_register_a_space_or_learn_where_it_is(remote: Remote) -> None:
    page, _ = remote.bare(remote.token())
    with page.socket:
        record = SpaceRecord("faults", "0" * 16, "/app.py", "/", True, "host", "/python", False, ())
        assert "token" in page.ask(says.Register(record)).text
        assert "--serve" in page.ask(says.Register(record)).text
        found = page.ask(says.Find("faults"))
        assert (found.app_file, found.root, found.host, found.python, found.client) == ("", "", "", "", "")
        assert found.function("add")


def test_a_program_is_no_other_client_and_no_other_visitor(remote: Remote) -> None:
    record, text = remote.tokens.new("faults", DAY, Use.CALL)
    page, welcome = remote.bare(text)
    with page.socket:
        assert isinstance(welcome, says.Welcome)
        assert welcome.client == f"test-host:faults:{record.id}.0123456789ab"
        assert page.ask(says.AskQuota("user:ada")).error == "RefusedError"


@pytest.mark.parametrize(
    ("root", "app_file"),
    [("/srv", "/srv/../etc/app.py"), ("/srv", "/etc/app.py"), ("/srv", "/srv"), ("", "/app.py"), ("x", "y")],
)
def test_a_page_of_another_host_names_no_path_of_the_farm(remote: Remote, root: str, app_file: str) -> None:
    page, _ = remote.bare(remote.token("guest", Use.SERVE))
    with page.socket:
        record = SpaceRecord("guest", "0" * 16, app_file, root, False, "test-host", "/bin/sh", False, ())
        assert "is below its folder" in page.ask(says.Register(record)).text
        stamped = page.ask(says.Register(replace(record, root="/srv/guest", app_file="/srv/guest/app.py")))
        assert [stamped.root, stamped.app_file, stamped.python] == [
            f"/dev/null/guest{below}" for below in ("", "/app.py", "/python")
        ]
        assert stamped.host != "test-host"
        assert "not for 'faults'" in page.ask(says.Register(replace(record, name="faults"))).text


def test_the_farm_keeps_no_token(remote: Remote) -> None:
    secret = remote.token().split("_", 2)[2].encode()
    stored = remote.farm.redis.hgetall(remote.farm.queue.keys.tokens())
    assert stored
    assert not [value for value in stored.values() if secret in value]


# --- strangers, who have no token


def greeting(token: str = "") -> bytes:
    return frame(2, wire.pack(says.Hello("0123456789ab", VERSION, token)))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(HEADER.pack(5_000, 2) + b"x" * 5_000, id="a long greeting"),
        pytest.param(HEADER.pack(2**31, 2), id="a length that no frame has"),
        pytest.param(frame(2, b"garbage"), id="garbage"),
        pytest.param(frame(2, wire.pack(says.AskHosts())), id="another message"),
        pytest.param(frame(2, wire.pack(says.Hello("0123456789ab", VERSION + 2))), id="another version"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: farm\r\n\r\n", id="a browser"),
        pytest.param(greeting() + frame(3, wire.pack(says.Submit(task_of("faults", "add", 1, 2)))), id="no token"),
    ],
)
def test_a_stranger_is_disconnected_and_others_go_on(remote: Remote, program: spaces.Farm, sent: bytes) -> None:
    with connected(remote.address) as sock:
        sock.sendall(sent)
        sock.settimeout(PATIENCE)
        while received(sock):
            pass
    assert program.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3


def test_the_holder_of_one_token_does_not_keep_others_out(remote: Remote, program: spaces.Farm) -> None:
    token = remote.token()
    pages = [remote.bare(token) for _ in range(MOST_OF_A_TOKEN + 1)]
    kinds = [type(answer).__name__ for _, answer in pages]
    assert kinds == ["Welcome"] * MOST_OF_A_TOKEN + ["Refusal"]
    assert program.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
    for page, _ in pages:
        page.socket.close()

    def admitted() -> bool:
        page, answer = remote.bare(token)
        with page.socket:
            return isinstance(answer, says.Welcome)

    wait_until(admitted)


def test_a_stranger_who_sends_a_greeting_bit_by_bit_is_disconnected(remote: Remote) -> None:
    with connected(remote.address) as sock:
        sock.settimeout(1)
        for byte in greeting() * 60:  # a byte a second: the greeting takes longer than anybody waits
            sock.send(bytes((byte,)))
            with suppress(TimeoutError):
                assert received(sock) == b""
                return
    raise AssertionError("the gateway waits for ever")


def received(sock: socket.socket) -> bytes:
    """What has arrived; nothing where the other side has closed, also while we were sending."""
    try:
        return sock.recv(4096)
    except ConnectionResetError:
        return b""


def test_an_address_that_no_gateway_has_is_named(remote: Remote) -> None:
    with pytest.raises(RefusedError, match="a gateway's address is gateway://HOST:PORT, got 'gateway://farm:port'"):
        spaces.Farm("gateway://farm:port", token=remote.token())


def test_the_command_makes_lists_and_revokes_tokens(remote: Remote) -> None:
    def zerofarm(*words: str) -> str:
        url = ["--redis-url", remote.farm.broker.url]
        command = [sys.executable, "-m", "spaces_workers.cli", "token", *words, *url]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout

    text = zerofarm("new", "--space", "faults", "--days", "2").strip()
    with remote.program(text) as program:
        assert program.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
    listed = {each["id"]: each for each in json.loads(zerofarm("list", "--json"))}
    name = text.split("_")[1]
    assert listed[name]["space"] == "faults"
    assert "digest" not in listed[name]
    assert name in zerofarm("revoke", name)
    noted = [(each.verb, each.target) for each in Audit(remote.farm.redis).latest(2)]
    assert noted == [("revoke token", "faults"), ("make token", "faults")]
    with remote.program(text) as program, pytest.raises(RefusedError, match="was revoked"):
        program.submit("faults", "add", 1, 2)


def test_a_gateway_without_a_port_for_tokens_listens_at_none(own_farm: Farm) -> None:
    gateway = own_farm.start_gateway("faults")
    assert [each for each in psutil.Process(gateway.pid).net_connections("inet") if each.status == "LISTEN"] == []


def test_a_gateway_alone_needs_no_folder_of_a_farm(own_farm: Farm, tmp_path: Path) -> None:
    """As in a container, which has neither a run directory nor anybody who gives the gateway orders."""
    port = free_port()
    environment = os.environ | {"ZEROFARM_URL": own_farm.broker.url, "ZEROFARM_RUN_DIR": str(tmp_path / "none")}
    command = [sys.executable, "-m", "spaces_workers.cli", "gateway", "--port", str(port), "--state-dir", str(tmp_path)]
    own_farm.register()
    own_farm.start_worker()
    gateway = subprocess.Popen(command, env=environment)
    try:
        token = Tokens(own_farm.redis).new("faults", DAY, Use.CALL)[1]
        wait_until(lambda: gateway.poll() is not None or answers(port), patience=START_PATIENCE)
        with spaces.Farm(f"gateway://127.0.0.1:{port}", token=token) as farm:
            assert farm.submit("faults", "add", 1, 2).result(timeout=PATIENCE) == 3
    finally:
        gateway.terminate()
        gateway.wait(START_PATIENCE)


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
