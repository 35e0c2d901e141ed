"""Detects that the system killed a process because memory ran out. The kernel counts such kills, but not by process."""

from __future__ import annotations

import time
from pathlib import Path

_COUNTERS = Path("/proc/vmstat")

#: Seconds for which `recent_kills` does not count again: reading takes longer than a small task.
FRESH = 1.0


def kills(counters: Path = _COUNTERS) -> int:
    """Out-of-memory kills of this host, or of a container's limit; 0 if the kernel does not count them."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


class RecentKills:
    """The number of kills, as it was up to `FRESH` seconds ago."""

    def __init__(self) -> None:
        self._number = 0
        self._read_at = float("-inf")

    def __call__(self) -> int:
        """The number."""
        now = time.monotonic()
        if now - self._read_at > FRESH:
            self._number, self._read_at = kills(), now
        return self._number


recent_kills = RecentKills()


def words(size_bytes: int) -> str:
    """A size for people: `312 MB`, `12.3 GB`."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
