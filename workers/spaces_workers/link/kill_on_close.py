"""A bond between a worker and its child: when the worker dies, the kernel kills the child and its process group.

A child that computes in C may hold the interpreter's lock and notice nothing, and the zygote that could kill it may
die with the worker. So the child asks the kernel for SIGKILL when the other end of a socket closes.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket

F_SETSIG = 10  # from <linux/fcntl.h>; Python has no name for it


class Bond:
    """The worker's end; the kernel closes it when the worker ends, however that happens."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def fileno(self) -> int:
        """The descriptor of the child's end."""
        return self._theirs.fileno()

    def given(self) -> None:
        """Close this process's copy of the child's end, once the child has it."""
        self._theirs.close()

    def cut(self) -> None:
        """Close the worker's end; a child that still lives is killed."""
        self._ours.close()


def die_with(end: int) -> None:
    """In a child: have the process group killed when the other end of this socket closes. Keeps the descriptor."""
    fcntl.fcntl(end, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(end, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)
