"""Limits how often logins may fail: by address, and by all together, because each try takes time and memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

#: Failures of one address, and of all addresses, within so many seconds.
OF_ONE, OF_ALL, WITHIN = 5, 100, 60.0


class Attempts:
    """The failures of the last minute. Use it on one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[tuple[float, str]] = deque()

    def wait_of(self, address: str) -> float:
        """Seconds until this address may try again; 0: now."""
        now = self._clock()
        while self._failures and self._failures[0][0] <= now - WITHIN:
            self._failures.popleft()
        own = [at for at, failed in self._failures if failed == address]
        if len(own) >= OF_ONE:
            return own[-OF_ONE] + WITHIN - now
        return self._failures[0][0] + WITHIN - now if len(self._failures) >= OF_ALL else 0.0

    def failed(self, address: str) -> None:
        """Count a failed login."""
        self._failures.append((self._clock(), address))
