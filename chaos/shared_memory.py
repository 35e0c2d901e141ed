"""What a run leaves in /dev/shm."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import psutil

SHARED = Path("/dev/shm")

#: The clock of a process that libfaketime gave one; it stays if the process is killed.
_CLOCK = re.compile(r"(?:sem\.)?faketime_(?:shm|sem)_(\d+)")


def entries() -> set[str]:
    """The names of all files there."""
    return {path.name for path in SHARED.iterdir()}


def remove_clocks() -> None:
    """Remove the clocks of processes that have ended."""
    for name in entries():
        if (clock := _CLOCK.fullmatch(name)) and not psutil.pid_exists(int(clock[1])):
            (SHARED / name).unlink(missing_ok=True)


def left_since(before: Collection[str], users: Collection[int]) -> list[str]:
    """The files that these users, or a clock of a killed process, have left there since."""
    return [str(SHARED / name) for name in sorted(entries() - set(before)) if _is_ours(SHARED / name, users)]


def _is_ours(path: Path, users: Collection[int]) -> bool:
    try:
        return _CLOCK.fullmatch(path.name) is not None or path.stat().st_uid in users
    except FileNotFoundError:
        return False
