"""Sweeps shared memory of payloads that were left by processes that were killed. The nursery does it for its host.

Whoever leaves a payload in good order deletes it. The age of those that are swept is longer than any task needs one, in
any farm: farms of one user share the run directory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.queue.keys import PAYLOAD

logger = logging.getLogger(__name__)

#: Seconds between two sweeps.
INTERVAL = 600.0


class Sweeper:
    """Sweeps when it is first asked, and then after each interval."""

    def __init__(self, store: SharedMemoryStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._due_at = clock()

    @property
    def due_in(self) -> float:
        """Seconds until the next sweep."""
        return max(0.0, self._due_at - self._clock())

    def sweep_if_due(self) -> None:
        """Sweep, unless that was done a short while ago."""
        if self.due_in:
            return
        self._due_at = self._clock() + INTERVAL
        try:
            swept = self._store.sweep(PAYLOAD)
        except OSError as error:
            logger.warning("old payloads could not be swept from shared memory: %s", error)
            return
        if swept:
            logger.info("%d old payloads were swept from shared memory", swept)
