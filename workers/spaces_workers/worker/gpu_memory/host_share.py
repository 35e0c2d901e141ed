"""The part of a host's memory that all its sleepers together may take: half of what the zygotes leave."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from spaces_workers.nursery import roster

#: Seconds for which a measurement of the zygotes counts.
LASTS = 1.0

_PAGE = os.sysconf("SC_PAGESIZE")


class HostShare:
    """The bytes that the sleepers of one worker may take."""

    def __init__(self, zygotes: Callable[[], int], elsewhere: Callable[[], int]) -> None:
        self._zygotes = zygotes
        self._elsewhere = elsewhere
        self._held = 0
        self._measured_at = -LASTS

    def __call__(self) -> float:
        """The bytes; below 0 if the sleepers of other workers already hold more than the whole part."""
        if time.monotonic() - self._measured_at > LASTS:
            self._held, self._measured_at = self._zygotes(), time.monotonic()
        return (psutil.virtual_memory().total - self._held) / 2 - self._elsewhere()


def zygote_bytes(run_dir: Path, log_dir: Path) -> int:
    """Bytes that the zygotes of a farm hold on this host, without files that they have mapped."""
    return sum(map(_own_bytes, (each.pid for each in roster.read(roster.roster_path(run_dir, log_dir)))))


def _own_bytes(pid: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:  # it has ended, or has not begun
        return 0
    return (int(resident) - int(shared)) * _PAGE
