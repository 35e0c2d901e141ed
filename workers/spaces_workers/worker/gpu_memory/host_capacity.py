"""The memory of the host as far as this process may use it: the limit of a container counts too."""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from spaces_workers.sandbox.control_groups import memory_of_own_groups


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bytes of memory."""

    total: int
    available: int  #: without taking memory from processes


def capacity() -> Capacity:
    """The memory of the host, or of the control group of this process, or of one above it: whichever is least."""
    host = psutil.virtual_memory()
    groups = list(memory_of_own_groups())
    total = min([host.total, *(each.limit_bytes for each in groups)])
    return Capacity(total, min([host.available, *(each.limit_bytes - each.used_bytes for each in groups)]))
