"""Makes children that are no forks: each runs the Space's script itself. One is made in advance, so that no call waits.

A zygote execs this if its script has started threads that cannot be replaced in a fork, or if the operator wants it. It
imports nothing of the Space and needs little memory.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import psutil

from spaces.farm import wire
from spaces_workers.isolation import MODULE
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.die_with_starter import tied
from spaces_workers.link.messages import Fork, ZygoteFailed, ZygoteReady, ZygoteSpec
from spaces_workers.zygote.child_server import ChildServer, kill_group

#: Consecutive processes that may fail, after one was ready, before this server exits. The next task starts another.
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Origin:
    """The state of a process before it ran a script, which may change it."""

    folder: str
    environment: dict[str, str]

    @classmethod
    def of_this_process(cls) -> Origin:
        return cls(os.getcwd(), dict(os.environ))


def become(spec: ZygoteSpec, nursery: Channel, origin: Origin) -> NoReturn:
    """Replace this process, and everything that its script has made, by the server of fresh children."""
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            each.kill()  # the script starts them again, and would find their ports taken
    packed = os.memfd_create("spec", 0)
    os.write(packed, wire.pack(spec))
    os.set_inheritable(nursery.fileno(), True)
    os.chdir(origin.folder)
    command = [sys.executable, *MODULE, "spaces_workers.zygote.fresh_server", str(nursery.fileno()), str(packed)]
    os.execve(command[0], command, origin.environment)


@dataclass(eq=False, slots=True)
class _Process:
    """A process that runs the script, or has run it and waits for a device."""

    pid: int
    channel: Channel
    is_ready: bool = False


@dataclass(frozen=True, slots=True)
class _Request:
    """A worker's request for a child."""

    worker: Channel
    fork: Fork
    fd: int


class FreshServer(ChildServer):
    """Keeps one process in reserve, more while workers wait."""

    def __init__(self, nursery: Channel, spec: ZygoteSpec) -> None:
        super().__init__(nursery)
        self._spec = spec
        self._processes: list[_Process] = []
        self._requests: deque[_Request] = deque()
        self._failures = 0
        self._announced = False

    def serve(self) -> NoReturn:
        """Send ZygoteReady when the first process is ready, then serve workers until the nursery is gone."""
        self._start_what_is_wanted()
        self.answer()

    def make_child(self, worker: Channel, request: Fork, fd: int) -> None:
        """Use the ready process, or the next one that gets ready."""
        self._requests.append(_Request(worker, request, fd))
        self._hand_out()

    def groups(self) -> list[int]:
        """The groups of the processes in reserve, which include those that their scripts have started."""
        return [process.pid for process in self._processes]

    def _hand_out(self) -> None:
        ready = deque(process for process in self._processes if process.is_ready)
        while self._requests and ready:
            process, request = ready.popleft(), self._requests.popleft()
            self._let_go(process)
            with suppress(ChannelClosed):  # it has just died; its worker is told as of any child
                process.channel.send(request.fork, fd=request.fd)
            process.channel.close()
            os.close(request.fd)
            self.adopt(request.worker, process.pid)
        self._start_what_is_wanted()

    def _start_what_is_wanted(self) -> None:
        while len(self._processes) < max(1, len(self._requests)):
            self._start()

    def _start(self) -> None:
        ours, theirs = Channel.pair()
        os.set_inheritable(theirs.fileno(), True)
        command = tied([sys.executable, *MODULE, "spaces_workers.zygote.fresh_child", str(theirs.fileno())])
        process = _Process(os.posix_spawn(command[0], command, os.environ), ours)
        theirs.close()
        with suppress(ChannelClosed):  # it died at once; its socket reports that too
            ours.send(self._spec)
        self._processes.append(process)
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._hear_process(process))

    def _hear_process(self, process: _Process) -> None:
        try:
            message = process.channel.receive()
        except ChannelClosed:
            self._lose_process(process)
            return
        match message:
            case ZygoteReady():
                self._failures = 0
                process.is_ready = True
                if not self._announced:
                    self._announced = True
                    self._nursery.send(message)
                self._hand_out()
            case ZygoteFailed():
                self._lose_process(process, message)
            case _:
                raise TypeError(f"a fresh child does not send {type(message).__name__}")

    def _lose_process(self, process: _Process, failure: ZygoteFailed | None = None) -> None:
        """End one whose script has failed, or that has died without a message."""
        self._let_go(process)
        process.channel.close()
        kill_group(process.pid)
        _, status = os.waitpid(process.pid, 0)
        self._failures += 1
        if not self._announced:
            if failure is not None:
                self._nursery.send(failure)
            _end_like(os.waitstatus_to_exitcode(status))
        if self._failures == ATTEMPTS:
            os._exit(1)
        self._start_what_is_wanted()

    def _let_go(self, process: _Process) -> None:
        self._processes.remove(process)
        self._selector.unregister(process.channel)


def _end_like(code: int) -> NoReturn:
    """End as another process has, so that the nursery tells one that was killed from one whose script failed."""
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> NoReturn:
    """`python -m spaces_workers.zygote.fresh_server FD SPEC`: the channel to the nursery, and a file with the spec."""
    nursery, packed = Channel.from_fd(int(sys.argv[1])), int(sys.argv[2])
    os.set_inheritable(nursery.fileno(), False)
    with open(packed, "rb") as file:
        file.seek(0)
        spec: ZygoteSpec = wire.unpack(file.read())
    FreshServer(nursery, spec).serve()


if __name__ == "__main__":
    main()
