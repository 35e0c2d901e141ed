"""One process that `zerofarm up` starts, logs, waits for and stops.

Each is started from the thread of the event loop, because the kernel kills it when the *thread* that started it ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from spaces.farm import log_lines
from spaces.servers import page_socket
from spaces_workers.forkserver.client import EXIT_PATIENCE, ForkedProcess, fork
from spaces_workers.isolation import SpaceEnvironment, build_log
from spaces_workers.isolation.build_log import BuildLog
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.kill_on_close import Bond
from spaces_workers.link.messages import Spawn
from spaces_workers.sandbox.command import enclosed
from spaces_workers.sandbox.description import Sandbox
from spaces_workers.up.log_tail import LogTail
from spaces_workers.up.page_port import PagePort
from spaces_workers.up.remains import VARIABLE, end_remains_of_page

#: The signals that ask a process to end, and the seconds to wait after each; KILL follows.
Steps = Sequence[tuple[signal.Signals, float]]

TERMINATE: Steps = ((signal.SIGTERM, 3.0),)


@dataclass(frozen=True, slots=True)
class ForkPlan:
    """How a Space's web process is forked where a fork server runs."""

    fork_server: Path  #: its socket
    app_file: Path
    own_environment: Callable[[], SpaceEnvironment | None] = lambda: None  #: of the Space, if it is to have one


@dataclass(frozen=True, slots=True)
class Command:
    """How a process is started and stopped."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)  #: holds secrets
    log: Path
    steps: Steps = TERMINATE
    fork: ForkPlan | None = None  #: tried first
    sandbox: Sandbox | None = None  #: what encloses it
    page_port: PagePort | None = None  #: where it serves, if its port outlives it
    build_log: BuildLog | None = None  #: of its Space, if it makes an environment first
    mark: str = ""  #: the value in `remains.py` that all processes have which end with this one

    @property
    def marked_environment(self) -> dict[str, str]:
        """The environment with the mark, if there is one."""
        return {**self.environment, **({VARIABLE: self.mark} if self.mark else {})}

    @property
    def passed(self) -> tuple[int, ...]:
        """The descriptors that it inherits."""
        return (self.page_port.fileno(),) if self.page_port is not None else ()


class Process:
    """A running process. Make it on the event loop's thread, by `start`; it dies when this process dies."""

    def __init__(self, command: Command, log: LogTail, started: Started) -> None:
        self.command = command
        self.log = log
        self.started_at = time.monotonic()
        self._started = started
        self._ended = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, command: Command) -> Process:
        """Start a process: a fork of the fork server if the command says so and there is one."""
        log = LogTail(command.log)  # before the process writes to it
        return cls(command, log, (await _forked(command)) or Plain(command))

    @classmethod
    def of(cls, command: Command, begun: Begun) -> Process:
        """One that was started before there was an event loop."""
        return cls(command, begun.log, begun.started)

    @property
    def pid(self) -> int:
        """The process id; the wrapper keeps it when it execs the command."""
        return self._started.pid

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
        # A fork server that imports for another Space tells late how this one ended.
        status = await asyncio.get_running_loop().run_in_executor(_REAPING, self._started.wait)
        if self.command.mark:
            end_remains_of_page(self.command.mark)
        return status

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.done():
            self._started.send_signal(number)


async def end_of(pid: int) -> None:
    """Wait until a process that another part of the program starts and reaps has ended."""
    with suppress(ProcessLookupError):
        await _readable(os.pidfd_open(pid))


def described(status: int) -> str:
    """An exit status in words: `was killed by SIGKILL`, `exited with code 3`."""
    if status >= 0:
        return f"exited with code {status}"
    return f"was killed by {signal.Signals(-status).name}"


class Started(Protocol):
    """A process of this host that somebody has started."""

    @property
    def pid(self) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def wait(self) -> int:
        """Reap it, once it has ended, and kill the rest of its group. Returns the exit status."""


class Plain:
    """A process with an interpreter of its own, which dies with the calling thread."""

    def __init__(self, command: Command) -> None:
        with command.log.open("ab") as log, _opened(command.build_log) as builds:
            self._popen = subprocess.Popen(
                enclosed(tied(command.arguments), command.sandbox),
                env=command.marked_environment | {page_socket.VARIABLE: " ".join(map(str, command.passed))} | builds,
                pass_fds=(*command.passed, *map(int, builds.values())),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own group: Ctrl-C in the terminal reaches only the starter, and leftover processes can be killed.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The wrapper keeps it when it execs the command."""
        return self._popen.pid

    def send_signal(self, number: int, /) -> None:
        self._popen.send_signal(number)

    def wait(self) -> int:
        # No other process gets its id before it is reaped, so the rest of its group can be killed safely.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._popen.wait()


@contextmanager
def _opened(log: BuildLog | None) -> Iterator[dict[str, str]]:
    """The variable that names the descriptor of a log, if there is one."""
    fd = log.open() if log else None
    if fd is None:
        yield {}
        return
    try:
        yield {build_log.VARIABLE: str(fd)}
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Begun:
    """A process that was started before there was an event loop; `Process.of` takes it over."""

    log: LogTail
    started: Plain

    @classmethod
    def of(cls, command: Command) -> Begun:
        """Start it. It dies with the calling thread."""
        return cls(LogTail(command.log), Plain(command))


class Fork:
    """A fork of the fork server, which dies with this process."""

    def __init__(self, process: ForkedProcess, bond: Bond) -> None:
        self.pid = process.pid
        self._process = process
        self._bond = bond

    def send_signal(self, number: int, /) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        try:
            return self._process.wait(EXIT_PATIENCE)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL  # its fork server hangs
        finally:
            self._bond.cut()


async def _forked(command: Command) -> Fork | None:
    if command.fork is None:
        return None
    bond = Bond(*command.passed)
    loop = asyncio.get_running_loop()
    process = await loop.run_in_executor(_FORKING, _fork, command, command.fork, bond.fileno())
    bond.given()
    if process is None:
        bond.cut()
        return None
    return Fork(process, bond)


def _fork(command: Command, plan: ForkPlan, bond: int) -> ForkedProcess | None:
    own = plan.own_environment()
    if own is not None and not own.variables:
        return None  # it has not been made yet
    variables = command.marked_environment | (own.variables if own else {})
    python = str(own.python) if own else ""
    spawn = Spawn(
        str(plan.app_file),
        tuple(variables.items()),
        str(command.log),
        is_zygote=False,
        sandbox=command.sandbox.to_text() if command.sandbox else "",
        python=python,
    )
    process = fork(plan.fork_server, spawn, bond)
    if process is not None and own is not None:
        with command.log.open("a") as log:
            log.writelines(f"{log_lines.marked(note)}\n" for note in own.notes)
    return process


#: A fork waits for the fork server, which may still have to import what this Space needs, and another does not.
_FORKING = ThreadPoolExecutor(max_workers=16, thread_name_prefix="fork")

_REAPING = ThreadPoolExecutor(max_workers=16, thread_name_prefix="reap")


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
