"""Puts a child to sleep and wakes it: every storage that its card holds leaves the device, and comes back unchanged.

The storages themselves are emptied and filled again. So tensors, views, tied weights and what C++ knows of them stay
the same, with their version counters; generators and streams are not touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from spaces import emulation
from spaces.errors import SpacesError
from spaces_workers.child.sleep.card import Card, Storage
from spaces_workers.child.sleep.digest import digest
from spaces_workers.child.sleep.host_memory import HostMemory
from spaces_workers.child.sleep.region import Driver, Key, Region
from spaces_workers.child.sleep.storages import storages

#: Bytes that are copied to the device between two looks whether the child is to halt: 20 ms of a GPU's bus.
STEP_BYTES = 1 << 30

#: Bytes that are copied to the host in one step, of which a child that is halted keeps all or nothing.
KEPT_BYTES = 128 << 20


class Halted(SpacesError):
    """The child was told to halt while it went to sleep or woke."""


class CannotSleep(SpacesError):
    """The child must stay awake; the message says why."""


class Sleeper:
    """The sleep of one process, which computes nothing meanwhile.

    A failure leaves it as it was, except for copies in host memory that were made before it.
    """

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
        self._saved: list[tuple[Storage, Key]] | None = None  #: all that the card holds, whose copies are up to date

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

    @property
    def sharable(self) -> list[Region]:
        """The parts of host memory that it could share with others."""
        return self._host.sharable

    def show(self, name: bytes) -> int:
        """A descriptor of a sealed copy of such a part, to be closed by the caller. Raises KeyError, OSError."""
        with emulation.bypassed():
            return self._host.show(name)

    def share(self, name: bytes, fd: int) -> None:
        """Use sealed memory with the same bytes for such a part. Raises KeyError, OSError, PinningRefused; then it
        keeps its own.
        """
        with emulation.bypassed():
            self._host.share(name, fd)

    def forget(self) -> None:
        """A task begins: it may change anything, and what it drops must be freed."""
        self._saved = None

    def save(self, *, pinned: bool, unchanged: bool = False, halted: Callable[[], bool] = lambda: False) -> None:
        """Copy everything to the host, and leave it where it is.

        `unchanged`: nothing can have changed since the last save or wake, so that nothing need be read. Raises
        CannotSleep, Halted, and the errors of a lack of memory.
        """
        if self._left:
            raise CannotSleep("it sleeps already")
        if obstacle := self._card.obstacle():
            raise CannotSleep(obstacle)
        if self._saved is None or not unchanged:
            with emulation.bypassed():
                self._saved = self._copied(pinned, halted)

    def sleep(self, *, pinned: bool, unchanged: bool = False, halted: Callable[[], bool] = lambda: False) -> None:
        """Move everything to the host; the arguments and errors are those of `save`."""
        self.save(pinned=pinned, unchanged=unchanged, halted=halted)
        with emulation.bypassed():
            self._left, self._saved = self._saved or [], None
            for storage, _ in self._left:
                self._card.release(storage)
            self._card.finish()

    def wake(self, *, keep: bool, halted: Callable[[], bool] = lambda: False) -> None:
        """Bring everything back; `keep` the copies for the next sleep.

        Raises Halted, or an `OutOfMemoryError`; then it sleeps still.
        """
        with emulation.bypassed():
            self._wake(halted)
        if not keep:
            self._saved = None
            self._host.keep_only(())

    def _copied(self, pinned: bool, halted: Callable[[], bool]) -> list[tuple[Storage, Key]]:
        """All that the card holds, after it was copied to the host as far as the host did not have it.

        After a failure the host has all that came in earlier steps, so that the next attempt goes on from there.
        """
        self._saved = None
        self._card.finish()
        content = list(self._digested(self._find(self._card.holds), halted))
        keys = {key for _, key in content}
        self._host.keep_only(keys)
        holders = {key: storage for storage, key in content}
        for step in _steps(self._host.lacking(keys)):
            try:
                self._fetch(step, holders, pinned, halted)
            except BaseException:
                self._card.drop()
                self._card.settle()  # a copy under way writes to memory that would be free
                self._host.keep_only(keys.difference(*step))
                raise
        return content

    def _wake(self, halted: Callable[[], bool]) -> None:
        restored: list[Storage] = []
        try:
            self._card.prepare(self.left_bytes)
            for storage, key in self._in_steps(self._left, halted):
                restored.append(storage)
                copy = self._host[key]
                self._card.restore(storage, copy.bytes, pinned=copy.pinned)
            self._card.finish()
        except BaseException:
            self._card.drop()
            for storage in restored:
                self._card.release(storage)
            self._card.finish()
            raise
        if self._left:
            self._left, self._saved = [], self._left

    def _digested(self, found: Iterable[Storage], halted: Callable[[], bool]) -> Iterator[tuple[Storage, Key]]:
        for storage in found:
            _check(halted)
            yield storage, (digest(storage), storage.nbytes())

    def _fetch(
        self, step: list[list[Key]], holders: Mapping[Key, Storage], pinned: bool, halted: Callable[[], bool]
    ) -> None:
        for group in step:
            _check(halted)
            for key in self._host.add(group, pinned=pinned):
                _check(halted)
                copy = self._host[key]
                self._card.fetch(holders[key], copy.bytes, pinned=copy.pinned)
        self._card.settle()

    def _in_steps(
        self, content: Iterable[tuple[Storage, Key]], halted: Callable[[], bool]
    ) -> Iterator[tuple[Storage, Key]]:
        """Each of these in turn, and what was begun with those before it is soon done. Raises Halted."""
        begun = 0
        for storage, key in content:
            if begun >= STEP_BYTES:
                self._card.settle()
                begun = 0
            _check(halted)
            yield storage, key
            begun += key[1]


def _steps(groups: Iterable[list[Key]]) -> Iterator[list[list[Key]]]:
    """Groups of contents that are copied to the host together: at most `KEPT_BYTES`, or one group."""
    step: list[list[Key]] = []
    for group in groups:
        if step and sum(size for each in (*step, group) for _, size in each) > KEPT_BYTES:
            yield step
            step = []
        step.append(group)
    if step:
        yield step


def _check(halted: Callable[[], bool]) -> None:
    if halted():
        raise Halted("it was told to halt")
