"""Whether there is something to read, for any descriptor: `select.select` takes none above 1,023."""

from __future__ import annotations

import select
from typing import Protocol


class HasFileno(Protocol):
    def fileno(self) -> int: ...


def is_readable(source: HasFileno | int, patience: float | None = 0.0) -> bool:
    """Whether a source can be read, or has come to its end, within so many seconds; None: waits without end."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(None if patience is None else patience * 1000))
