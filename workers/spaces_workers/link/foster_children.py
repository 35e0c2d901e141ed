"""The children of zygotes that have died: they go on, as children of the process that made the zygote."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from contextlib import suppress

from spaces_workers.link.orphans import Orphans


class FosterChildren:
    """Reaps them, and ends what each leaves behind. `own` are the calling process's other children by now."""

    def __init__(self, selector: selectors.BaseSelector, own: Callable[[], set[int]]) -> None:
        self._selector = selector
        self._own = own
        self._orphans = Orphans()
        self._orphans.spare_present()
        self._pids: set[int] = set()

    def adopt(self) -> None:
        """Watch the children of a zygote that has just died."""
        for pid in self._orphans.adopted(self._known()):
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                self._pids.add(pid)
                self._selector.register(pidfd, selectors.EVENT_READ, lambda _, pid=pid, fd=pidfd: self._bury(pid, fd))

    def _bury(self, pid: int, pidfd: int) -> None:
        self._selector.unregister(pidfd)
        os.close(pidfd)
        os.waitpid(pid, 0)
        self._pids.remove(pid)
        self.end_orphans()

    def end_orphans(self) -> None:
        """End what a process that was no zygote has left behind."""
        self._orphans.kill(self._known())

    def _known(self) -> set[int]:
        return self._pids | self._own()
