"""Which Spaces are on this worker's device: the children that are kept warm, and which one goes when another comes.

Also the worker's answer to each claim's question, how soon it could begin a task of which Space.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from spaces.farm.warmth import MOST_KNOWN, Warmth
from spaces_workers.children import Child
from spaces_workers.messages import ZygoteSpec
from spaces_workers.swap_costs import Level, SwapCosts


class Residency:
    """At most `limit` idle children, least recently used first out. Safe to use from several threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[str, Child] = {}
        self._costs = SwapCosts()
        self._seen: dict[str, None] = {}  #: Spaces that had a child here, the latest last: their zygotes are ready
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

    @contextmanager
    def measured(self, space: str, level: Level) -> Iterator[None]:
        """Around the making of a child: learn what it took from this level. What fails teaches nothing."""
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        with self._lock:
            self._costs.learn(space, level, seconds)
            self._seen.pop(space, None)
            self._seen[space] = None

    def warmth(self) -> Warmth:
        """Seconds to a ready child of each Space that was lately here, and of any other."""
        with self._lock:
            recent = {*self._idle, *list(self._seen)[-MOST_KNOWN:]}
            seconds = {space: self._costs.seconds(space, self._level(space)) for space in recent}
            return Warmth(seconds, self._costs.typical(Level.UNSEEN))

    def children(self) -> list[Child]:
        """The idle children."""
        with self._lock:
            return list(self._idle.values())

    def clear(self) -> None:
        """Discard every child."""
        while (child := self._evicted(0)) is not None:
            child.discard()

    def _level(self, space: str) -> Level:
        return Level.CHILD if space in self._idle else Level.HOST

    def _evicted(self, limit: int) -> Child | None:
        with self._lock:
            if len(self._idle) <= limit:
                return None
            oldest = min(self._idle.values(), key=lambda child: child.used_at)
            return self._idle.pop(oldest.spec.space)
