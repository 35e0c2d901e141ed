"""A bond between a worker and its child: when the worker dies, the kernel kills the child and its process group.

A child that computes in C may hold the interpreter's lock and notice nothing, and the zygote that could kill it may
die with the worker. So the child asks the kernel for SIGKILL when the other end of a socket closes.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket

from spaces_workers.link.readiness import is_readable

F_SETSIG = 10  # from <linux/fcntl.h>; Python has no name for it


class Bond:
    """The worker's end; the kernel closes it when the worker ends, however that happens.

    It may carry a descriptor to the other end, which takes it by `carried_by`.
    """

    def __init__(self, carried: int | None = None) -> None:
        self._ours, self._theirs = socket.socketpair()
        if carried is not None:
            socket.send_fds(self._ours, [b"."], [carried])

    def fileno(self) -> int:
        """The descriptor of the child's end."""
        return self._theirs.fileno()

    def given(self) -> None:
        """Close this process's copy of the child's end, once the child has it."""
        self._theirs.close()

    def cut(self) -> None:
        """Close the worker's end; a child that still lives is killed."""
        self._ours.close()


def carried_by(end: int) -> int | None:
    """The descriptor that came with this end of a bond; to be called before `die_with`."""
    with socket.socket(fileno=os.dup(end)) as bond:
        if not is_readable(bond):  # it was sent before this end was given
            return None
        fds = socket.recv_fds(bond, 1, 1)[1]
        return fds[0] if fds else None


def die_with(end: int) -> None:
    """In a child: have the process group killed when the other end of this socket closes. Keeps the descriptor."""
    fcntl.fcntl(end, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(end, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)
