"""The part of a host's memory that all its sleepers together may take: half of what the zygotes leave."""

from __future__ import annotations

import os
from pathlib import Path

from spaces_workers.nursery import roster
from spaces_workers.worker.gpu_memory import host_capacity

_PAGE = os.sysconf("SC_PAGESIZE")


def host_share(zygotes: int, elsewhere: int) -> float:
    """The bytes that the sleepers of one worker may take, from those that zygotes and other workers' sleepers hold.

    Below 0 if the sleepers of other workers already hold more than the whole part.
    """
    return (host_capacity.capacity().total - zygotes) / 2 - elsewhere


def zygote_bytes(run_dir: Path, log_dir: Path) -> int:
    """Bytes that the zygotes of a farm hold on this host, without files that they have mapped."""
    return sum(map(_own_bytes, (each.pid for each in roster.read(roster.roster_path(run_dir, log_dir)))))


def _own_bytes(pid: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:  # it has ended, or has not begun
        return 0
    return (int(resident) - int(shared)) * _PAGE
