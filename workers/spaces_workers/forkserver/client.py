"""The fork server as its callers see it: the launcher starts it, launcher and nursery have Spaces forked from it.

Where none answers, or it refuses a Space, the caller starts the Space's process the plain way.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from spaces import config
from spaces.farm import log_lines
from spaces.farm.queue import settings
from spaces_workers.forkserver.process_name import ROOM
from spaces_workers.isolation import MODULE
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import Exited, Refused, Spawn, Spawned

logger = logging.getLogger(__name__)

#: Seconds in which a fork server answers; at its start it imports libraries, on a busy machine for long.
PATIENCE = 120.0

#: Seconds to wait for word of how a process ended; the fork server may be gone itself.
EXIT_PATIENCE = 60.0


def socket_path(run_dir: Path, log_dir: Path) -> Path:
    """The socket of a farm's fork server on this host; one for each process namespace, like the nursery's."""
    theirs = f"{os.readlink('/proc/self/ns/pid')} {log_dir.resolve()}"
    return run_dir / f"forkserver-{sha256(theirs.encode()).hexdigest()[:10]}.sock"


def command(path: Path) -> list[str]:
    """The command line of a fork server at `path`. Callers may connect at once, and wait until it has its libraries."""
    return [sys.executable, *MODULE, "spaces_workers.forkserver.server", str(path), ROOM]


class ForkedProcess:
    """A process that the fork server has made, with as much of `subprocess.Popen` as its callers use."""

    def __init__(self, pid: int, channel: Channel) -> None:
        self.pid = pid
        self._channel = channel
        self._status: int | None = None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self._status is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self._status is None:
            try:
                self._status = self._exited(timeout)
            except TimeoutError:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0) from None
            self._channel.close()
        return self._status

    def _exited(self, timeout: float | None) -> int:
        try:
            match self._channel.receive(timeout):
                case Exited(status=status):
                    return status
                case other:
                    raise TypeError(f"a fork server does not say {type(other).__name__} here")
        except ChannelClosed:
            return -signal.SIGKILL  # it has ended, or ends now: its fork server is gone


def fork(path: Path, spawn: Spawn, fd: int) -> ForkedProcess | None:
    """Have a process forked; `fd` goes to it. None where it must be started the plain way, which the log says."""
    if reason := _excepted(spawn):
        _note(spawn.log, reason)
        return None
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(path))
    except OSError:
        sock.close()
        return None
    channel = Channel(sock)
    try:
        channel.send(spawn, fd=fd)
        match channel.receive(PATIENCE):
            case Spawned(pid):
                return ForkedProcess(pid, channel)
            case Refused(reason):
                _note(spawn.log, reason)
    except (ChannelClosed, TimeoutError) as error:
        logger.debug("the fork server does not answer: %s", error)
    channel.close()
    return None


def _excepted(spawn: Spawn) -> str:
    """Whether the operator has excepted the Space, as `Refused` has it; the fork server has no settings of the farm."""
    space = dict(spawn.environment).get(config.SPACE, "")
    return "" if settings.of_space(space).preload else f"farm.toml has preload = false under [spaces.{space}]"


def _note(log: str, reason: str) -> None:
    with open(log, "a") as file:
        line = f"ZeroFarm: this Space imports its libraries itself, which takes seconds and memory: {reason}"
        file.write(f"{log_lines.marked(line)}\n")
