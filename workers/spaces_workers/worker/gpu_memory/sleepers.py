"""Sleeping children: the host memory that they may take, how they are put to sleep, and how one is woken."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from spaces_workers.link.channel import ChannelClosed
from spaces_workers.worker.child_copies import common_bytes
from spaces_workers.worker.child_link import ChildLink, StaysAwake, UnfitChild
from spaces_workers.worker.gpu_memory import host_capacity
from spaces_workers.worker.gpu_memory.swap_costs import Level

logger = logging.getLogger(__name__)

#: The part of the host's memory that must stay available when a child has gone to sleep.
RESERVE = 0.1


class Residents(Protocol):
    """The other children of the device."""

    def evict_next(self) -> None: ...


@dataclass(frozen=True, slots=True)
class HostMemoryBudget:
    """The host memory for the sleepers of one worker."""

    host_bytes: int
    pinned_bytes: int  #: the part of it that may be pinned
    watched: bool = True  #: whether some of the host's real memory must stay available
    left_by_others: Callable[[], float] = lambda: math.inf  #: bytes, as zygotes and other workers' sleepers leave now

    def has_room_for(self, child: ChildLink, others: Collection[ChildLink]) -> bool:
        """Whether a child may take as much host memory as it holds of the device."""
        wanted = max(0, child.memory.held_bytes - child.host_bytes)
        held = _held(others, lambda each: each.host_bytes)
        return held + wanted <= min(self.host_bytes, self.left_by_others()) and self.leaves(wanted)

    def leaves(self, size: int) -> bool:
        """Whether enough of the host's real memory stays available when so many bytes more are taken."""
        return not self.watched or _is_available(size)

    def would_pin(self, child: ChildLink, others: Collection[ChildLink]) -> bool:
        """Whether the copies of a child would be pinned."""
        pinned = [each for each in others if each is not child and each.pinned_bytes]
        held = _held(pinned, lambda each: each.pinned_bytes)
        return held + child.memory.held_bytes <= min(self.pinned_bytes, self.left_by_others())

    def put(self, child: ChildLink, others: Collection[ChildLink]) -> bool:
        """Put a child to sleep. False: there was no room for it, or it did not sleep, and is of no use any more."""
        if not self.has_room_for(child, others):
            logger.info("no host memory is left for the weights of Space %s", child.spec.space)
            return False
        try:
            child.put_to_sleep(pinned=self.would_pin(child, others))
        except (StaysAwake, ChannelClosed, TimeoutError) as error:
            logger.warning("the child of Space %s cannot sleep: %s", child.spec.space, error)
            return False
        return True


def wake(child: ChildLink, residents: Residents) -> None:
    """Wake a child; if the device is full against the account, once more after another child was evicted.

    It keeps the copies for its next sleep.

    Raises UnfitChild, ChannelClosed, TimeoutError.
    """
    try:
        child.wake(keep=True)
    except UnfitChild as unfit:
        if not unfit.out_of_memory:
            raise
        residents.evict_next()
        child.wake(keep=True)


def weights_of(child: ChildLink) -> int:
    """The bytes of the device that a child holds when it is awake, without a task."""
    return child.memory.held_bytes + (child.sleep.left_bytes if child.sleep is not None else 0)


def _held(children: Collection[ChildLink], size_of: Callable[[ChildLink], int]) -> int:
    """Bytes that the copies of some children hold together; what they share counts once."""
    own = sum(max(0, size_of(each) - each.copies.shared_bytes) for each in children)
    return own + common_bytes([each.copies for each in children])


def _is_available(size: int) -> bool:
    now = host_capacity.capacity()
    return now.available - size >= RESERVE * now.total


def level_of(child: ChildLink) -> Level:
    """How much of its Space is loaded, for a child that is alive."""
    if child.sleep is None:
        return Level.CHILD
    return Level.PINNED if child.sleep.pinned_bytes else Level.ASLEEP
