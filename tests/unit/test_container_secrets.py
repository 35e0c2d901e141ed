"""The secrets of a farm of containers: made once, each process's apart, and taken by the broker and the commands."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import ResponseError

from spaces.farm.connection import connect
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.queue import Queue
from spaces_workers.broker.binary import find_server
from spaces_workers.broker.users import RULES
from spaces_workers.commands.options import named_in_environment
from spaces_workers.gateway.tokens import Tokens
from spaces_workers.setup.farm_key import farm_key
from spaces_workers.setup.secret_file import SecretMissing
from tests.broker.support import claimed, pushed
from tests.harness import free_port
from tests.unit.command_run import Run
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZEROFARM_URL", "ZEROFARM_KEY", "ZEROFARM_BROKER_PASSWORD", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def made(run: Run, tmp_path: Path) -> tuple[Path, int]:
    """The folder of the secrets, and the port of the broker that they are for."""
    port = free_port()
    assert run("secrets", tmp_path / "secrets", "--broker", f"127.0.0.1:{port}")[0] == 0
    return tmp_path / "secrets", port


@pytest.fixture
def broker(made: tuple[Path, int], tmp_path: Path) -> Iterator[Path]:
    """The folder, while a broker runs that includes its users as in docker-compose.yml."""
    folder, port = made
    configuration = tmp_path / "broker.conf"
    configuration.write_text(f'include {folder}/broker/users.conf\nport {port}\nsave ""\ndir {tmp_path}\n')
    log = (tmp_path / "broker.log").open("wb")
    with log, subprocess.Popen([find_server(), configuration], stdout=log, stderr=log) as server:
        wait_until(lambda: b"Ready to accept" in (tmp_path / "broker.log").read_bytes())
        yield folder
        server.kill()


def url(folder: Path, user: str) -> str:
    return (folder / user / "broker.url").read_text()


def test_each_process_has_its_url_and_may_do_what_it_needs(broker: Path) -> None:
    for user in RULES:
        with connect(url(broker, user)) as redis:
            assert redis.ping()
            with pytest.raises(ResponseError, match="permission"):
                redis.config_get("dir")
    with connect(url(broker, "operator")) as redis:
        assert redis.config_get("dir")


#: As KEDA's redis scaler counts: https://github.com/kedacore/keda/blob/main/pkg/scalers/redis_scaler.go
COUNT = """
local kind = redis.call('TYPE', KEYS[1]).ok
return redis.call(kind == 'zset' and 'ZCARD' or 'LLEN', KEYS[1])
"""


def test_keda_counts_the_tasks_that_wait_and_can_do_nothing_else(broker: Path) -> None:
    user, password = ((broker / "scaler" / name).read_text() for name in ("username", "password"))
    assert f"redis://{user}:{password}@" in url(broker, "scaler")
    with connect(url(broker, "worker")) as worker, connect(url(broker, "scaler")) as scaler:
        queue = Queue(worker)
        assert scaler.eval(COUNT, 1, queue.keys.queue("large")) == 0
        for _ in range(3):
            pushed(queue)
        assert scaler.eval(COUNT, 1, queue.keys.queue("large")) == 3
        claimed(queue)
        assert scaler.eval(COUNT, 1, queue.keys.queue("large")) == 2, "a task that runs does not wait"
        Controls(queue, "a test").pause("digits")
        assert scaler.eval(COUNT, 1, queue.keys.queue("large")) == 0, "a paused Space needs no worker"
        for script, key in (
            ("return redis.call('DEL', KEYS[1])", queue.keys.queue("large")),
            ("return redis.call('ZADD', KEYS[1], 1, 'a')", queue.keys.queue("large")),
            (COUNT, queue.keys.tokens()),
            ("return redis.call('ZRANGE', KEYS[1], 0, -1)", queue.keys.queue("large")),
        ):
            with pytest.raises(ResponseError, match="permission"):
                scaler.eval(script, 1, key)


def test_the_health_check_of_the_broker_may_ask_nothing_else(made: tuple[Path, int], broker: Path) -> None:
    with connect(f"redis://health:any@127.0.0.1:{made[1]}") as redis:
        assert redis.ping()
        with pytest.raises(ResponseError, match="permission"):
            redis.get("anything")


def test_secrets_are_private_and_the_broker_gets_digests(made: tuple[Path, int]) -> None:
    folder, _ = made
    users = (folder / "broker" / "users.conf").read_text()
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("users.conf", "username"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert path.read_text() not in users
            assert path.read_text().partition("@")[0].rpartition(":")[2] not in users


def test_they_are_made_once_and_those_of_an_earlier_farm_are_kept(run: Run, tmp_path: Path) -> None:
    earlier = {"ZEROFARM_KEY": "00" * 32, "ZEROFARM_BROKER_PASSWORD": "chosen"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in earlier.items():
            patch.setenv(name, value)
        run("secrets", tmp_path)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert (tmp_path / "worker" / "farm.key").read_text() == "00" * 32
    assert url(tmp_path, "operator") == "redis://:chosen@broker:6379/0"
    run("secrets", tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == first


def test_the_users_are_replaced_not_written_over(run: Run, made: tuple[Path, int]) -> None:
    """Their file is read-only, also for the user who made it, unless that is root."""
    folder, _ = made
    with (folder / "broker" / "users.conf").open() as first:
        assert run("secrets", folder)[0] == 0
        assert os.fstat(first.fileno()).st_nlink == 0
    assert stat.S_IMODE((folder / "broker" / "users.conf").stat().st_mode) == 0o444


def test_a_key_that_is_none_is_refused_before_anything_is_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZEROFARM_KEY", "00ff")
    code, _, errors = run("secrets", tmp_path / "secrets")
    assert code == 1
    assert "$ZEROFARM_KEY must have at least 32 hexadecimal digits, got 4" in errors
    assert not (tmp_path / "secrets").exists()


def test_tokens_are_written_once_and_anew_when_half_of_their_time_is_over(
    broker: Path, run: Run, tmp_path: Path
) -> None:
    def write(days: int) -> dict[str, str]:
        arguments = ["--space", "digits", "--space", "names", "--into", tmp_path / "tokens", "--days", days]
        code, _, errors = run("token", "new", "--serve", *arguments, "--redis-url", url(broker, "operator"))
        assert code == 0, errors
        return {path.parent.name: path.read_text() for path in (tmp_path / "tokens").rglob("token")}

    first = write(10)
    assert first.keys() == {"digits", "names"}
    assert write(10) == first
    again = write(30)
    assert not {*again.values()} & {*first.values()}
    with connect(url(broker, "operator")) as redis:
        tokens = Tokens(redis)
        assert tokens.holder(again["digits"].partition(".")[0]).space == "digits"
        tokens.revoke(again["digits"].split("_")[1])
    assert write(30)["digits"] != again["digits"]


def test_files_stand_for_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://a\n")
    (tmp_path / "key").write_text("ab" * 32 + "\n")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("ZEROFARM_KEY_FILE", str(tmp_path / "key"))
    assert named_in_environment() == "redis://a"
    assert farm_key(tmp_path / "state", os.environ) == b"\xab" * 32
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "nothing"))
    with pytest.raises(SecretMissing, match=r"\$REDIS_URL_FILE names .*nothing, which cannot be read: No such file"):
        named_in_environment()
