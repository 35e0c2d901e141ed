"""Decides whether the children of a Space can be forks, and lists the threads that forks would lack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spaces_workers.forking.libraries import LIBRARIES, Fate
from spaces_workers.forking.native_threads import NativeThread, native_threads
from spaces_workers.forking.own_threads import waiting_threads


@dataclass(frozen=True, slots=True)
class Loss:
    """Threads that a fork does not have."""

    owner: str  #: `polars`, or `the Space's 'consumer'`
    threads: int
    where: str  #: `started at app.py, line 12`; empty if unknown
    fate: Fate

    def __str__(self) -> str:
        count = f"{self.threads} thread{'s' if self.threads > 1 else ''}" if self.threads else ""
        details = ", ".join(filter(None, (count, self.where)))
        return f"{self.owner} ({details})" if details else self.owner


@dataclass(frozen=True, slots=True)
class Judgement:
    """The threads that a fork of this process would lose."""

    losses: tuple[Loss, ...]

    @property
    def broken(self) -> tuple[Loss, ...]:
        """The losses after which a fork does not work."""
        return tuple(loss for loss in self.losses if loss.fate is Fate.BROKEN)


def judge(root: Path, line_of: Callable[[int], str]) -> Judgement:
    """Judge this process, whose script has launched. `line_of` returns the line that started a thread."""
    threads = native_threads()
    of_libraries = [
        _loss(row.name, row.fate, lost, line_of) for row in LIBRARIES if (lost := row.lost_threads(threads)) is not None
    ]
    of_space = [
        Loss(f"the Space's {thread.name!r}", 1, f"waiting for work at {thread.line}", Fate.BROKEN)
        for thread in waiting_threads(root)
    ]
    known = {row.name for row in LIBRARIES} | {name for row in LIBRARIES for name in row.packages}
    by_package: dict[str, list[NativeThread]] = {}
    for thread in threads:
        by_package.setdefault(thread.package, []).append(thread)
    others = [_loss(each, Fate.UNKNOWN, by_package[each], line_of) for each in sorted(by_package.keys() - known - {""})]
    return Judgement((*of_libraries, *of_space, *others))


def _loss(owner: str, fate: Fate, threads: Sequence[NativeThread], line_of: Callable[[int], str]) -> Loss:
    lines = [line for each in threads if (line := line_of(each.thread_id))]
    return Loss(owner, len(threads), f"started at {lines[0]}" if lines else "", fate)
