"""Which Spaces are on this worker's device: the children that are kept warm, and which one goes when another comes.

Room is made by account, before it is needed: a task never meets a device that is full of others' weights. Also the
worker's answer to each claim's question, how soon it could begin a task of which Space.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from spaces.farm.warmth import MOST_KNOWN, Warmth
from spaces_workers.channel import ChannelClosed
from spaces_workers.children import Child
from spaces_workers.device_memory import DeviceMemory, Needs
from spaces_workers.messages import ZygoteSpec
from spaces_workers.swap_costs import Level, SwapCosts


class Residency:
    """At most `limit` children in a device's memory, least recently used first out. Safe to use by several threads."""

    def __init__(self, limit: int, memory: DeviceMemory) -> None:
        self._limit = limit
        self._memory = memory
        self._needs = Needs(memory)
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

    def make_room(self, spec: ZygoteSpec, weights_bytes: int, child: Child | None = None) -> None:
        """Before a task: have memory for all that its Space needs beyond what its `child`, if it has one, holds.

        The least recently used children give back first what they only keep for later, then their lives.
        """
        while (crowded := self._evicted(self._limit - 1)) is not None:
            crowded.discard()
        held = child.memory.held_bytes if child is not None else 0
        needed = self._needs.of(spec.space, spec.revision, weights_bytes) - held
        for shrink in (_trimmed, _discarded):
            for idle in sorted(self.children(), key=lambda each: each.used_at):
                if self._free_bytes(held) >= needed:
                    return
                if shrink(idle):
                    self._forget(idle)

    def keep(self, child: Child) -> None:
        """Take a child back that has done its task."""
        child.used_at = time.monotonic()
        if child.tasks_done:
            self._needs.learn(child.spec.space, child.spec.revision, child.memory)
        with self._lock:
            self._idle[child.spec.space] = child

    def learn_shortage(self, spec: ZygoteSpec) -> None:
        """A task of this Space found the device's memory too small: next time all others make room for it."""
        self._needs.learn_shortage(spec.space, spec.revision)

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

    @property
    def held_bytes(self) -> int:
        """Bytes of the device that the idle children hold."""
        return sum(child.memory.held_bytes for child in self.children())

    def children(self) -> list[Child]:
        """The idle children."""
        with self._lock:
            return list(self._idle.values())

    def clear(self) -> None:
        """Discard every child."""
        while (child := self._evicted(0)) is not None:
            child.discard()

    def _free_bytes(self, held_bytes: int) -> int:
        return self._memory.free_bytes(held_bytes + self.held_bytes)

    def _forget(self, child: Child) -> None:
        with self._lock:
            self._idle.pop(child.spec.space, None)

    def _level(self, space: str) -> Level:
        return Level.CHILD if space in self._idle else Level.HOST

    def _evicted(self, limit: int) -> Child | None:
        with self._lock:
            if len(self._idle) <= limit:
                return None
            oldest = min(self._idle.values(), key=lambda child: child.used_at)
            return self._idle.pop(oldest.spec.space)


def _trimmed(child: Child) -> bool:
    """Have a child give back what it can spare. True if it is gone instead."""
    if child.is_trimmed:
        return False
    try:
        child.trim()
    except (ChannelClosed, TimeoutError):
        return _discarded(child)
    return False


def _discarded(child: Child) -> bool:
    child.discard()
    return True
