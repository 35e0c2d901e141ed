"""Checks for `zerofarm doctor SPACE...` that the host's memory holds all these Spaces at once."""

from __future__ import annotations

from collections.abc import Sequence

import psutil

from spaces_workers.doctor.finding import Finding
from spaces_workers.gpu.devices import GIB
from spaces_workers.setup.served_space import ServedSpace

#: Bytes of a Space's web process and zygote, without its weights: as forks of the fork server, and with imports of its
#: own; and bytes of the fork server. Source: `benchmarks.spaces_on_a_host`, 10 demos.
FORKED, PLAIN, FORK_SERVER = 186 * 10**6, 818 * 10**6, 700 * 10**6


def host_memory(spaces: Sequence[ServedSpace]) -> Finding:
    """Compare the memory that is available with an estimate of what the Spaces need without their weights."""
    apart = sum(space.asks_for_packages for space in spaces)
    together = len(spaces) - apart
    needed = apart * PLAIN + (FORK_SERVER + together * FORKED if together > 1 else together * PLAIN)
    available = psutil.virtual_memory().available
    who = "1 Space needs" if len(spaces) == 1 else f"{len(spaces)} Spaces need"
    message = f"{who} about {needed / GIB:.1f} GiB without their weights, and {available / GIB:.1f} GiB are available"
    if needed <= available:
        return Finding("memory", "ok", message)
    remedy = "Serve some of them on another host"
    if apart:
        remedy += f", or without environments of their own, which {apart} of them ask for (zerofarm up --no-isolate)"
    return Finding("memory", "warning", message, remedy)
