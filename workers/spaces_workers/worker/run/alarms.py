"""One thread that waits for the first of many moments, most of which are cleared before they come."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable


class Alarms:
    """Calls a function at a moment of the monotonic clock, each in a thread of its own, so that none delays another."""

    def __init__(self) -> None:
        self._set: dict[object, tuple[float, Callable[[], None]]] = {}
        self._changed = threading.Condition()
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def set(self, key: object, due: float, call: Callable[[], None]) -> None:
        """Call a function at a moment, unless `key` is cleared before."""
        with self._changed:
            self._set[key] = due, call
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="alarms", daemon=True)
                self._thread.start()
            if due < self._wakes_at:  # else it wakes before, and finds this one then
                self._changed.notify()

    def clear(self, key: object) -> None:
        """Do not call the function of this key, if that has not happened."""
        with self._changed:
            self._set.pop(key, None)

    def _watch(self) -> None:
        with self._changed:
            while True:
                for key in [key for key, (due, _) in self._set.items() if due <= time.monotonic()]:
                    threading.Thread(target=self._set.pop(key)[1], name="alarm", daemon=True).start()
                self._wakes_at = min((due for due, _ in self._set.values()), default=math.inf)
                left = self._wakes_at - time.monotonic()
                self._changed.wait(None if left == math.inf else max(0.0, left))
