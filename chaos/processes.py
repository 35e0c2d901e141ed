"""The processes of a farm under test, by kind."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress

import psutil

#: Words of the command line of each kind of process. Zygotes and children are told apart by their parents, too.
WORDS = {
    "page": ("spaces.script",),
    "worker": ("spaces_workers.cli", "worker"),
    "nursery": ("spaces_workers.nursery.server",),
    "fork server": ("spaces_workers.forkserver.server",),
    "gateway": ("spaces_workers.gateway",),
    "front door": ("run", "--config"),
    "launcher": ("spaces_workers.cli", "up"),
    "Flower": ("spaces_workers.flower",),
    "home page": ("spaces_app.home",),
    "zygote": ("spaces_workers.zygote.main",),
    "zygote that does not fork": ("spaces_workers.zygote.fresh_server",),
    "child": ("spaces_workers.zygote.main",),
    "child that is no fork": ("spaces_workers.zygote.fresh_child",),
}


class Processes:
    """Those that have one of these words in their command line or environment, and were not there before."""

    def __init__(self, words: Collection[str]) -> None:
        self._words = set(words)
        self._before = {process.pid for process in psutil.process_iter()}

    def pids(self, kind: str) -> list[int]:
        """The processes of one kind."""
        found = [each for each in self._all() if set(WORDS[kind]) <= set(each.cmdline())]
        if kind in ("zygote", "child"):
            found = [each for each in found if _is_fork_of_zygote(each) == (kind == "child")]
        return [each.pid for each in found]

    def _all(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.pid not in self._before and self._words & {*process.environ().values(), *process.cmdline()}:
                    yield process


def _is_fork_of_zygote(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is not None and "spaces_workers.zygote.main" in parent.cmdline()
