"""One process that `zerofarm up` starts, logs, waits for and stops.

Each is started from the thread of the event loop, because the kernel kills it when the *thread* that started it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from spaces_workers.link.lifeline import tied
from spaces_workers.up.log_tail import LogTail

#: The signals that ask a process to end, and the seconds to wait after each; KILL follows.
Steps = Sequence[tuple[signal.Signals, float]]

TERMINATE: Steps = ((signal.SIGTERM, 3.0),)


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started and stopped."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)  #: holds secrets
    log: Path
    steps: Steps = TERMINATE


class Process:
    """A running process. Make it on the event loop's thread; it dies when this process dies."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.log = LogTail(command.log)
        self.started_at = time.monotonic()
        self._popen = _started(command)
        self._ended = asyncio.create_task(self._wait())

    @property
    def pid(self) -> int:
        """The process id; the wrapper keeps it when it execs the command."""
        return self._popen.pid

    @property
    def seconds(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_at

    async def ended(self) -> int:
        """Wait until it ends; returns the exit status, negative for a signal."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """TERM, grace, KILL; returns when the process and its group are gone."""
        for step, grace in self.command.steps:
            self._signal(step)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended(), grace)
                return
        self.kill()
        await self.ended()

    def kill(self) -> None:
        """Kill it and its process group at once."""
        if not self._ended.done():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _wait(self) -> int:
        await _readable(os.pidfd_open(self.pid))
        # No other process gets its id before it is reaped, so the rest of its group can be killed safely.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.done():
            self._popen.send_signal(number)


async def end_of(pid: int) -> None:
    """Wait until a process that another part of the program starts and reaps has ended."""
    with suppress(ProcessLookupError):
        await _readable(os.pidfd_open(pid))


def described(status: int) -> str:
    """An exit status in words: `was killed by SIGKILL`, `exited with code 3`."""
    if status >= 0:
        return f"exited with code {status}"
    return f"was killed by {signal.Signals(-status).name}"


def _started(command: Command) -> subprocess.Popen[bytes]:
    with command.log.open("ab") as log:
        return subprocess.Popen(
            tied(command.arguments),
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A group of its own: Ctrl-C in the terminal reaches only the starter, and leftover processes can be killed.
            start_new_session=True,
        )


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[None] = loop.create_future()

    def notice() -> None:
        if not seen.done():
            seen.set_result(None)

    loop.add_reader(fd, notice)
    try:
        await seen
    finally:
        loop.remove_reader(fd)
        os.close(fd)
