"""A bond between a worker and its child: when the worker dies, the kernel kills the child and what that has started.

A child that computes in C holds the interpreter's lock and hears nothing, and the zygote that could kill it may die
with the worker. So the child asks the kernel for a signal when the other end of a socket closes: SIGKILL.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket

F_SETSIG = 10  # from <linux/fcntl.h>; Python has no name for it


class Bond:
    """The worker's end; it closes with the worker, however that ends."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    def fileno(self) -> int:
        """The end to give to the child."""
        return self._theirs.fileno()

    def given(self) -> None:
        """The child has its end: hold no copy of it."""
        self._theirs.close()

    def cut(self) -> None:
        """Let go of the child; if it still lives it is killed."""
        self._ours.close()


def die_with(end: int) -> None:
    """In a child: be killed, with the process group, when the other end of this socket closes. Keeps the descriptor."""
    fcntl.fcntl(end, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(end, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)
