"""Ends what a process of a Space has left behind, also processes that left its group and whose own parents have ended.

Linux gives a process whose parent ends to its nearest ancestor that adopts orphans. A child adopts, so all that its
tasks start stays below it while it lives. So do its zygote and the nursery: what a child leaves comes to one of them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress

import psutil

from spaces_workers.link.readiness import is_readable

PR_SET_CHILD_SUBREAPER = 36  # from <linux/prctl.h>

#: Seconds in which orphans are killed; one that waits for a disk or a driver may take longer to end.
PATIENCE = 1.0


def adopt_orphans() -> None:
    """From now on, processes below this one that lose their parent become children of this one."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def descendants(pid: int) -> list[psutil.Process]:
    """All processes below one that adopts orphans."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


class Orphans:
    """The orphans that this process adopts."""

    def __init__(self) -> None:
        adopt_orphans()
        self._spared: set[int] = set()

    def spare_present(self) -> None:
        """Never take a process that exists below this one now for an orphan."""
        self._spared.update(each.pid for each in psutil.Process().children(recursive=True))

    def spare_none(self) -> None:
        """Take every child of this process that is not its own for an orphan."""
        self._spared.clear()

    def adopted(self, own: Collection[int]) -> set[int]:
        """The children of this process that are not its `own`."""
        return {each.pid for each in psutil.Process().children()} - set(own) - self._spared

    def kill(self, own: Collection[int]) -> None:
        """Kill and reap the orphans, and what they started: as one is killed, its children become orphans."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.adopted(own)) and time.monotonic() < deadline:
            for pid in found:
                _kill(pid, deadline)


def _kill(pid: int, deadline: float) -> None:
    with suppress(ProcessLookupError, ChildProcessError):
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            is_readable(pidfd, max(0.0, deadline - time.monotonic()))
            os.waitpid(pid, os.WNOHANG)
        finally:
            os.close(pidfd)
