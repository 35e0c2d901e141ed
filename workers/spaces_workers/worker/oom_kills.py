"""Detects that the system killed a process because memory ran out. The kernel counts such kills, but not by process."""

from __future__ import annotations

from pathlib import Path

from spaces.farm.recent import Recent

_COUNTERS = Path("/proc/vmstat")


def kills(counters: Path = _COUNTERS) -> int:
    """Out-of-memory kills of this host, or of a container's limit; 0 if the kernel does not count them."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


#: The same as it was up to a second ago: reading takes longer than a small task.
recent_kills = Recent(kills)
