"""Which Spaces are on this worker's device: the children that are kept warm, and which one goes when another comes."""

from __future__ import annotations

import threading
import time

from spaces_workers.children import Child
from spaces_workers.messages import ZygoteSpec

#: Seconds that a swap is taken to cost until one was measured.
ASSUMED_SWAP = 1.0


class Residency:
    """At most `limit` idle children, least recently used first out. Safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[str, Child] = {}
        self._swap_seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, spec: ZygoteSpec) -> Child | None:
        """The warm child of this very revision, if there is one; it is the caller's now."""
        with self._lock:
            child = self._idle.pop(spec.space, None)
        if child is not None and (child.spec.revision != spec.revision or child.gone):
            child.discard()
            return None
        return child

    def make_room(self) -> None:
        """Before a child is made: discard the least recently used ones beyond the limit, the new one counted."""
        while (child := self._evicted(self._limit - 1)) is not None:
            child.discard()

    def keep(self, child: Child) -> None:
        """Take a child back that has done its task."""
        child.used_at = time.monotonic()
        with self._lock:
            self._idle[child.spec.space] = child

    def learn(self, space: str, seconds: float) -> None:
        """Note what it took to make a child ready; half old, half new."""
        with self._lock:
            before = self._swap_seconds.get(space, seconds)
            self._swap_seconds[space] = (before + seconds) / 2

    def warm(self) -> dict[str, float]:
        """The Spaces that are warm here, each with the seconds that a swap to it would cost."""
        with self._lock:
            return {space: self._swap_seconds.get(space, ASSUMED_SWAP) for space in self._idle}

    def children(self) -> list[Child]:
        """The idle children."""
        with self._lock:
            return list(self._idle.values())

    def clear(self) -> None:
        """Discard every child."""
        while (child := self._evicted(0)) is not None:
            child.discard()

    def _evicted(self, limit: int) -> Child | None:
        with self._lock:
            if len(self._idle) <= limit:
                return None
            oldest = min(self._idle.values(), key=lambda child: child.used_at)
            return self._idle.pop(oldest.spec.space)
