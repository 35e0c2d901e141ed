"""The farm's own broker: starts it, or joins the one that another process has started.

It keeps its tasks in an append-only file in the state directory, so that they survive a restart of the farm. One state
directory has at most one server: a second process joins it.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from redis import BusyLoadingError, RedisError

from spaces.farm.connection import connect, redacted
from spaces_workers.broker.binary import find_server
from spaces_workers.broker.broker import Broker, BrokerError
from spaces_workers.broker.server import Server
from spaces_workers.broker.server_settings import ServerSettings

Answer: TypeAlias = Literal["ready", "loading", "silent"]

POLL_INTERVAL = 0.01


@dataclass
class EmbeddedBroker(Broker):
    """A server that this process started. It ends at `stop`, or when this process dies."""

    server: Server
    lock: int

    @property
    def is_ours(self) -> bool:
        return True

    def url_of(self, user: str) -> str:
        return self.server.settings.url_of(user)

    def stop(self) -> None:
        """TERM, grace, KILL; the append-only file is complete afterwards."""
        if self.lock < 0:
            return
        self.server.stop()
        self.server.settings.remove_traces()
        os.close(self.lock)
        self.lock = -1


def started_or_joined(settings: ServerSettings, patience: float) -> Broker:
    """Start the server, or join the one of another process; the holder of the lock starts or runs it.

    The server inherits the lock, so it is free exactly when no starter and no server is alive. A file with a process
    id would not do: another process may have that id by now.
    """
    deadline = time.monotonic() + patience
    settings.prepare()
    lock = os.open(settings.files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(lock):
            running = settings.files.running_url()
            if running and _answer(running) == "ready":
                _check_joinable(settings, running)
                os.close(lock)
                return Broker(running)
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"another process holds {settings.files.lock} and its broker did not answer within "
                    f"{patience:g} s. Stop that process, or choose another --state-dir"
                )
            time.sleep(POLL_INTERVAL)
        return _started(settings, lock, deadline)
    except BaseException:
        os.close(lock)
        raise


def _started(settings: ServerSettings, lock: int, deadline: float) -> Broker:
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
                f"{server.settings.files.log} ends with:\n{server.log_tail()}"
            )
        if answer == "silent" and time.monotonic() > deadline:
            raise BrokerError(
                f"the broker {server.binary} started but did not answer in time. Its log "
                f"{server.settings.files.log} ends with:\n{server.log_tail()}"
            )
        time.sleep(POLL_INTERVAL)


def _answer(url: str) -> Answer:
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


def _check_joinable(settings: ServerSettings, running: str) -> None:
    if settings.listen is not None and running != settings.url:
        raise BrokerError(
            f"a broker already runs in {settings.files.state_dir} at {redacted(running)}, not at "
            f"{redacted(settings.url)} as requested. Stop it first, or choose another --state-dir"
        )


def _check_port(settings: ServerSettings) -> None:
    """Refuse a taken port before the start: another program's server there must not be mistaken for ours."""
    if settings.listen is None:
        return
    fault = settings.listen.fault()
    if fault is not None:
        raise BrokerError(
            f"the broker cannot listen on {settings.listen.host}:{settings.listen.port}: {fault}. Stop what uses it, "
            f"or choose another port"
        )
