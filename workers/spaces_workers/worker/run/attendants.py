"""Threads that attend to runs, one run at a time each. One that is done waits for the next run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

#: Work on a run; it may return more, on the run that follows it.
Work: TypeAlias = "Callable[[], Work | None]"


class Attendants:
    """As many threads as there were runs at once."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Work] = SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()

    def give(self, work: Work) -> None:
        """Do this work, and all that follows it, on a thread that is idle, or on a new one. Returns at once."""
        with self._lock:
            has_one = self._idle > 0
            self._idle -= has_one
        if not has_one:
            threading.Thread(target=self._serve, name="attendant", daemon=True).start()
        self._work.put(work)

    def _serve(self) -> None:
        while True:
            work: Work | None = self._work.get()
            while work is not None:
                work = work()
            with self._lock:
                self._idle += 1
