"""The time in which a worker was busy."""

from __future__ import annotations

import time
from collections.abc import Callable


class BusyTime:
    """Adds up the spans between `note(True)` and `note(False)`, with the one that has not ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spans = 0.0, 0.0  #: seconds of all that have ended; when the current one began, or 0

    def note(self, is_busy: bool) -> None:
        """The worker is busy, or idle, from now on. One thread at a time may call this."""
        ended, since = self._spans
        if is_busy and not since:
            self._spans = ended, self._clock()
        elif since and not is_busy:
            self._spans = ended + self._clock() - since, 0.0

    @property
    def seconds(self) -> float:
        """Up to now; any thread may ask."""
        ended, since = self._spans
        return ended + (self._clock() - since if since else 0.0)
