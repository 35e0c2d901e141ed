"""Prepares idle children ahead of their tasks: wakes sleepers, saves tensors, shares copies.

Whatever a real task needs comes first: all of it is halted for one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from spaces_workers.link.channel import ChannelClosed
from spaces_workers.worker.child_link import ChildLink, Halted, UnfitChild
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.sleepers import level_of

logger = logging.getLogger(__name__)

#: Calls a second that are expected of a Space whose page was opened or whose task is among the next: one in a minute
#: at least.
EXPECTED = 1 / 60

#: A child makes room for a prefetch if this part of those calls is expected of its Space, at most.
SELDOM = 0.5

#: Seconds for a child to halt: it copies one tensor to its end.
HALT_PATIENCE = 5.0


class Prefetch:
    """Moves idle children of a residency. Safe to use from several threads."""

    def __init__(self, residency: Residency) -> None:
        self._residency = residency
        self._moves = threading.Lock()  #: held by whoever moves children
        self._state = threading.Lock()
        self._needed_for: str | None = None  #: the Space of a task that needs a child now
        self._space = ""
        self._child: ChildLink | None = None  #: it goes to sleep or wakes for `_space`

    @contextmanager
    def halted(self, space: str) -> Iterator[None]:
        """Within this, for a task of `space`, nothing is prefetched. A prefetch of another Space is halted first, one
        of the same Space goes on. A child that does not halt is killed.
        """
        with self._state:
            self._needed_for = space
            halting = self._child if self._space != space else None
            if halting is not None:
                halting.halt()
        try:
            if not self._moves.acquire(timeout=HALT_PATIENCE if halting is not None else -1):
                self._kill(halting)
                self._moves.acquire()
            try:
                yield
            finally:
                self._moves.release()
        finally:
            with self._state:
                self._needed_for = None

    @property
    def has_sleepers(self) -> bool:
        """Whether there is anybody to wake."""
        return any(child.sleep is not None for child in self._residency.children())

    def wake(self, space: str, *, running: Collection[ChildLink] = (), spared: Collection[str] = ()) -> bool:
        """Wake the sleeper of a Space, if it has one and there is room; whether it did.

        While no task is `running`, children make room whose Spaces are seldom called and are not among `spared`.
        """
        if not self._moves.acquire(blocking=False):
            return False
        try:
            sleeper = next((each for each in self._residency.children() if each.spec.space == space), None)
            return sleeper is not None and sleeper.sleep is not None and self._wake(sleeper, running, spared)
        except Halted as halted:
            logger.info("a task needs the device: %s ahead of its task", halted)
            return False
        finally:
            self._moves.release()

    def bury(self) -> None:
        """Discard idle children that have died, so that others get their room on the host."""
        if not self._moves.acquire(blocking=False):
            return  # one that moves answers, which looks like its end
        try:
            for child in self._residency.children():
                if child.gone:
                    self._residency.discard(child)
        finally:
            self._moves.release()

    def exchange(self) -> None:
        """Tell other workers of the host what these children hold of its memory, and hear of theirs."""
        self._residency.host.exchange()

    def save(self) -> None:
        """Let children on the device copy their tensors to the host, so that they can make room at once."""
        self._with_each(self._residency.host.can_save, self._residency.host.save)

    def share(self) -> None:
        """Let children use the copies in host memory that others have too."""
        self._with_each(self._residency.host.can_share, self._residency.host.share)

    def _with_each(self, wanted: Callable[[ChildLink], bool], act: Callable[[ChildLink], None]) -> None:
        """Do something with each idle child that is wanted, until a task needs the device."""
        if not self._moves.acquire(blocking=False):
            return
        try:
            for child in filter(wanted, self._residency.children()):
                with self._moving(child, "", 0):
                    act(child)
        except Halted:
            pass
        finally:
            self._moves.release()

    def _wake(self, sleeper: ChildLink, running: Collection[ChildLink], spared: Collection[str]) -> bool:
        residency, space = self._residency, sleeper.spec.space
        for other in () if running else residency.expected_less(space, EXPECTED * SELDOM):
            if residency.lacks(sleeper, running) > 0 and other.spec.space not in spared:
                with self._moving(other, space, 0):
                    residency.host.put(other)
        if residency.lacks(sleeper, running) > 0 or sleeper.sleep is None:
            return False
        with self._moving(sleeper, space, sleeper.sleep.left_bytes):
            try:
                with residency.measured(space, level_of(sleeper)):
                    sleeper.wake(keep=True)
            except (UnfitChild, ChannelClosed, TimeoutError) as error:
                logger.warning("the child of Space %s did not wake ahead of its task: %s", space, error)
                if not (isinstance(error, UnfitChild) and error.out_of_memory):  # then it sleeps still
                    residency.discard(sleeper)
                return False
        logger.info("the child of Space %s is awake ahead of its task", space)
        return True

    def _kill(self, deaf: ChildLink | None) -> None:
        with self._state:
            if deaf is not None and self._child is deaf:
                logger.warning("the child of Space %s did not halt for a task, and is killed", deaf.spec.space)
                deaf.kill()

    @contextmanager
    def _moving(self, child: ChildLink, space: str, coming_bytes: int) -> Iterator[None]:
        with self._state:
            if self._needed_for not in (None, space):
                raise Halted(f"the child of Space {child.spec.space} did not move")
            self._child, self._space = child, space
        try:
            with self._residency.moving(child, coming_bytes):
                yield
        finally:
            with self._state:
                self._child = None
                child.go_on()
