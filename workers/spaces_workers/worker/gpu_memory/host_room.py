"""Decides which children get room in the host's memory to sleep there, and which give it up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Protocol

from spaces_workers.link.channel import ChannelClosed
from spaces_workers.worker.child_link import ChildLink, StaysAwake, UnfitChild
from spaces_workers.worker.gpu_memory.eviction import Eviction
from spaces_workers.worker.gpu_memory.shared_copies import SharedCopies
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget, level_of
from spaces_workers.worker.gpu_memory.swap_costs import Level, SwapCosts

logger = logging.getLogger(__name__)


class Evicted(StrEnum):
    """The ways in which a child makes room for another."""

    ASLEEP = "asleep"
    KILLED = "killed"


class Owner(Protocol):
    """Keeps the children."""

    def children(self) -> list[ChildLink]:
        """The idle ones."""

    def on_host(self) -> list[ChildLink]:
        """All that may have copies of their tensors in host memory, also one that runs a task."""

    def discard(self, child: ChildLink) -> None:
        """Kill one."""


class HostRoom:
    """Puts children to sleep within a budget, and kills those for which that is not worth it."""

    def __init__(
        self,
        budget: HostMemoryBudget | None,
        eviction: Eviction,
        costs: SwapCosts,
        owner: Owner,
        clock: Callable[[], float],
        copies: SharedCopies | None = None,
    ) -> None:
        self.budget = budget  #: None: no child sleeps
        self._eviction = eviction
        self._costs = costs
        self._owner = owner
        self._clock = clock
        self._copies = copies  #: None: no child shares any
        self.evictions = dict.fromkeys(Evicted, 0)
        self.seconds_spent = 0.0  #: in `put`

    def put(self, child: ChildLink) -> None:
        """Have a child leave the device. It is killed if it cannot, if that does not pay, or if its room on the host
        is worth less than that of every other sleeper. Raises Halted; then it has not left.
        """
        if self.budget is None:
            self.kill(child)
        elif child.sleep is None:
            began = self._clock()
            try:
                self._put_to_sleep(child, self.budget)
            finally:
                self.seconds_spent += self._clock() - began

    def can_save(self, child: ChildLink) -> bool:
        """Whether an idle child on the device has tensors to copy to the host, and room there."""
        if self.budget is None or child.sleep is not None or child.is_saved or child.is_unable:
            return False
        return self.has_room_for(child)

    def save(self, child: ChildLink) -> None:
        """Have a child copy its tensors to the host, so that it can sleep at once. Raises Halted."""
        if self.budget is None:
            return
        try:
            child.save(pinned=self.budget.would_pin(child, self._owner.on_host()))
        except StaysAwake as error:
            logger.info("the child of Space %s cannot sleep: %s", child.spec.space, error)
            child.is_unable = True
        except (ChannelClosed, TimeoutError):
            self._owner.discard(child)

    def can_share(self, child: ChildLink) -> bool:
        """Whether other children of the host have the same bytes as an idle child, which has its own copy of them."""
        if self.budget is None or self._copies is None or child.host_bytes > self.budget.host_bytes:
            return False
        return self._copies.can_share(child, self.budget.leaves)

    def share(self, child: ChildLink) -> None:
        """Have a child use the copies of others instead of its own. Raises Halted."""
        if self._copies is not None and self.budget is not None:
            try:
                self._copies.share(child, self.budget.leaves)
            except (ChannelClosed, TimeoutError):
                self._owner.discard(child)

    def exchange(self) -> None:
        """Tell the other workers of the host how much of its memory these children hold, and read theirs."""
        if self._copies is not None:
            self._copies.exchange(self._owner.on_host())

    def kill(self, child: ChildLink) -> None:
        """End a child to make room for another."""
        self.evictions[Evicted.KILLED] += 1
        self._owner.discard(child)

    def has_room_for(self, child: ChildLink) -> bool:
        """Whether a child can sleep without the room of others."""
        return self.budget is not None and self.budget.has_room_for(child, self._owner.on_host())

    def level_after(self, child: ChildLink) -> Level:
        """The level of a child once it has left the device."""
        if child.sleep is not None:
            return level_of(child)
        if self.budget is None:
            return Level.HOST
        return Level.PINNED if self.budget.would_pin(child, self._owner.on_host()) else Level.ASLEEP

    def by_worth(self, children: Collection[ChildLink]) -> list[ChildLink]:
        """Sleepers, and children that want to sleep, the one whose room is worth least first."""

        def longer(child: ChildLink) -> float:
            space = child.spec.space
            return self._costs.seconds(space, Level.HOST) - self._costs.seconds(space, self.level_after(child))

        return self._eviction.order(children, longer, lambda child: child.host_bytes or child.memory.held_bytes)

    def _put_to_sleep(self, child: ChildLink, budget: HostMemoryBudget) -> None:
        self._clear_for(child, budget)
        pinned = budget.would_pin(child, self._owner.on_host())
        began, was_saved = self._clock(), child.is_saved
        pays = pinned or self._costs.sleep_pays(child.spec.space, is_saved=child.is_saved)
        if not pays or not budget.put(child, self._owner.on_host()):
            self.kill(child)
            return
        self.evictions[Evicted.ASLEEP] += 1
        if not pinned and not was_saved:
            self._costs.learn_sleep(child.spec.space, self._clock() - began)

    def _clear_for(self, child: ChildLink, budget: HostMemoryBudget) -> None:
        """Drop copies that children on the device have kept, then kill sleepers that are worth less."""
        copies = [each for each in self._owner.children() if each.sleep is None and each.host_bytes]
        for each in reversed(self.by_worth(copies)):
            if each is not child and not budget.has_room_for(child, self._owner.on_host()):
                self._drop_copies(each)
        rivals = [each for each in self._owner.children() if each.sleep is not None or each is child]
        for each in self.by_worth(rivals):
            if each is child or budget.has_room_for(child, self._owner.on_host()):
                break
            self.kill(each)

    def _drop_copies(self, child: ChildLink) -> None:
        try:
            child.wake(keep=False)
        except (UnfitChild, ChannelClosed, TimeoutError):
            self.kill(child)
