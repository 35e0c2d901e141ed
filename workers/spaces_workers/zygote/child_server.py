"""The part of a Space's process that serves workers: makes children on request, and reports how each ended.

Subclasses make the children: `zygote.py` forks them, `fresh_server.py` runs the script in each.
"""

from __future__ import annotations

import os
import selectors
import signal
import threading
import time
from typing import NoReturn

from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import Adopt, Exited, Fork, Forked
from spaces_workers.link.orphans import Orphans

#: Seconds in which the children of dead workers end, when their server leaves.
LEAVE_PATIENCE = 0.5


class ChildServer:
    """A single-threaded server; subclasses make the children."""

    def __init__(self, nursery: Channel) -> None:
        self._nursery = nursery
        self._selector = selectors.DefaultSelector()
        self._children: dict[int, Channel] = {}  # by pid: the worker that asked for it
        self._orphans = Orphans()

    def make_child(self, worker: Channel, request: Fork, fd: int) -> None:
        """Make a child with this end of its worker's socket, and `adopt` it once it exists."""
        raise NotImplementedError

    def groups(self) -> list[int]:
        """The leaders of process groups, beside its own, that end with this process."""
        return []

    def answer(self) -> NoReturn:
        """Serve the nursery and the workers until the nursery is gone."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self._leave())
        self._selector.register(self._nursery, selectors.EVENT_READ, self._hear_nursery)
        while True:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def adopt(self, worker: Channel, pid: int) -> None:
        """Report a new child to its worker, and later its end."""
        self._children[pid] = worker
        pidfd = os.pidfd_open(pid)
        self._selector.register(pidfd, selectors.EVENT_READ, lambda _: self._bury(pid, pidfd))
        self._tell(worker, Forked(pid))

    def _hear_nursery(self, nursery: Channel) -> None:
        try:
            message, fd = nursery.receive_with_fd()
        except ChannelClosed:
            self._see_children_of_dead_workers_end()
            self._leave()
        match message:
            case Adopt() if fd is not None:
                self._selector.register(Channel.from_fd(fd), selectors.EVENT_READ, self._hear_worker)
            case _:
                raise TypeError(f"a zygote cannot {type(message).__name__}")

    def _hear_worker(self, worker: Channel) -> None:
        try:
            message, fd = worker.receive_with_fd()
        except ChannelClosed:
            self._lose(worker)
            return
        match message:
            case Fork() if fd is not None:
                self.make_child(worker, message, fd)
            case _:
                raise TypeError(f"a zygote cannot {type(message).__name__}")

    def _lose(self, worker: Channel) -> None:
        """Kill the children of a worker that is gone; one that holds the interpreter's lock would not notice."""
        self._selector.unregister(worker)
        worker.close()
        for pid, owner in self._children.items():
            if owner is worker:
                kill_group(pid)

    def _bury(self, pid: int, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status, used = os.wait4(pid, 0)
        worker = self._children.pop(pid)
        self._orphans.kill(self._own())
        self._tell(worker, Exited(pid, os.waitstatus_to_exitcode(status), used.ru_maxrss * 1024))

    def _tell(self, worker: Channel, message: Forked | Exited) -> None:
        try:
            worker.send(message)
        except ChannelClosed:
            pass  # its socket reads as closed too: `_lose` follows

    def _leave(self) -> NoReturn:
        """Exit, because the nursery is gone or asks for it, and kill all processes that the script has started.

        Children live on, in their own groups; another zygote makes the next ones.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for group in self.groups():
            kill_group(group)
        self._orphans.spare_none()
        self._orphans.kill(self._children)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    def _see_children_of_dead_workers_end(self) -> None:
        """Their remains come to this process, and would come to nobody later.

        A nursery that dies with its worker does so before that worker's sockets are closed. SIGTERM cuts this short.
        """
        self._selector.unregister(self._nursery)
        deadline = time.monotonic() + LEAVE_PATIENCE
        while self._children and (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                key.data(key.fileobj)

    def _own(self) -> set[int]:
        return {*self._children, *self.groups()}


def kill_group(pid: int) -> None:
    """Kill a process that leads a group, or is about to, with its group."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        try:
            os.kill(pid, signal.SIGKILL)  # it has not become the leader of its group yet
        except ProcessLookupError:
            pass
