"""Puts a child to sleep and wakes it: every storage that its card holds leaves the device, and comes back unchanged.

The storages themselves are emptied and filled again. So tensors, views, tied weights and what C++ knows of them stay
the same, with their version counters; generators and streams are not touched.
"""

from __future__ import annotations

from collections.abc import Callable

from spaces import emulation
from spaces.errors import SpacesError
from spaces_workers.child.sleep.card import Card, Storage
from spaces_workers.child.sleep.digest import digest
from spaces_workers.child.sleep.host_memory import Driver, HostMemory, Key
from spaces_workers.child.sleep.storages import storages


class CannotSleep(SpacesError):
    """The child must stay awake; the message says why."""


class Sleeper:
    """The sleep of one process, which computes nothing meanwhile. A failure leaves it as it was."""

    def __init__(
        self,
        card: Card,
        driver: Driver | None,
        find: Callable[[Callable[[Storage], bool]], list[Storage]] = storages,
    ) -> None:
        self._card = card
        self._host = HostMemory(driver)
        self._find = find
        self._left: list[tuple[Storage, Key]] = []

    @property
    def host_bytes(self) -> int:
        """Bytes of host memory that hold copies."""
        return self._host.size_bytes

    @property
    def pinned_bytes(self) -> int:
        """The part of them that is pinned."""
        return self._host.pinned_bytes

    @property
    def left_bytes(self) -> int:
        """Bytes that have left the device."""
        return sum(size for _, (_, size) in self._left)

    def sleep(self, *, pinned: bool) -> None:
        """Move everything to the host. Raises CannotSleep, and the errors of a lack of memory."""
        if self._left:
            raise CannotSleep("it sleeps already")
        if obstacle := self._card.obstacle():
            raise CannotSleep(obstacle)
        with emulation.bypassed():
            self._sleep(pinned)

    def wake(self, *, keep: bool) -> None:
        """Bring everything back; `keep` the copies for the next sleep. Raises an `OutOfMemoryError`, still asleep."""
        with emulation.bypassed():
            self._wake()
        if not keep:
            self._host.keep_only(())

    def _sleep(self, pinned: bool) -> None:
        self._card.finish()
        found = self._find(self._card.holds)
        content = [(storage, (digest(storage), storage.nbytes())) for storage in found]
        keys = {key for _, key in content}
        self._host.keep_only(keys)
        try:
            self._fetch(content, pinned)
        except BaseException:
            self._host.keep_only(())
            raise
        self._left = content
        for storage, _ in content:
            self._card.release(storage)
        self._card.finish()

    def _wake(self) -> None:
        restored: list[Storage] = []
        try:
            self._card.prepare(self.left_bytes)
            for storage, key in self._left:
                restored.append(storage)
                copy = self._host[key]
                self._card.restore(storage, copy.bytes, pinned=copy.pinned)
            self._card.finish()
        except BaseException:
            for storage in restored:
                self._card.release(storage)
            self._card.finish()
            raise
        self._left = []

    def _fetch(self, content: list[tuple[Storage, Key]], pinned: bool) -> None:
        new = set(self._host.add((key for _, key in content), pinned=pinned))
        for storage, key in content:
            if key in new:
                new.discard(key)
                copy = self._host[key]
                self._card.fetch(storage, copy.bytes, pinned=copy.pinned)
        self._card.finish()
