"""The Spaces on this worker's device: keeps their children warm, and evicts some to make room for another.

Room is made in advance, by accounting: a task never finds a device that is full of other Spaces' weights. It also
reports, for each claim, how soon the worker can begin a task of each Space.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from spaces.farm.queue.warmth import MOST_KNOWN, Warmth
from spaces.farm.units import bytes_in_words
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.worker.child_link import ChildLink, Halted
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory, Needs
from spaces_workers.worker.gpu_memory.eviction import Eviction
from spaces_workers.worker.gpu_memory.host_room import HostRoom
from spaces_workers.worker.gpu_memory.shared_copies import SharedCopies
from spaces_workers.worker.gpu_memory.sleepers import HostMemoryBudget, level_of, weights_of
from spaces_workers.worker.gpu_memory.swap_costs import Level, SwapCosts

logger = logging.getLogger(__name__)


class Residency:
    """At most `limit` children in a device's memory; `eviction` says who makes room for others.

    An evicted child goes to sleep if there is a `budget`, and is killed otherwise. Only the thread that runs tasks may
    take, make room and keep; any thread may call the other methods meanwhile.
    """

    def __init__(
        self,
        limit: int,
        memory: DeviceMemory,
        budget: HostMemoryBudget | None = None,
        eviction: Eviction | None = None,
        clock: Callable[[], float] = lambda: time.monotonic(),
        copies: SharedCopies | None = None,
    ) -> None:
        self._limit = limit
        self._memory = memory
        self._eviction = eviction or Eviction()
        self._clock = clock
        self._needs = Needs(memory)
        self._idle: dict[str, ChildLink] = {}
        self._taken: ChildLink | None = None  #: the child that a task has, if it came from here
        self._moving: ChildLink | None = None  #: an idle child that goes to sleep or wakes
        self._coming_bytes = 0  #: of the device, that it will hold
        self._costs = SwapCosts()
        self.host = HostRoom(budget, self._eviction, self._costs, self, clock, copies)
        self._seen: dict[str, None] = {}  #: Spaces that had a child here, the latest last; their zygotes are ready
        self._lock = threading.Lock()

    def take(self, spec: ZygoteSpec) -> ChildLink | None:
        """Hand over the warm child of exactly this revision, if there is one."""
        with self._lock:
            child = self._idle.pop(spec.space, None)
        if child is not None and (child.spec.revision != spec.revision or child.gone):
            child.discard()
            child = None
        self._taken = child
        return child

    def take_ready(self, spec: ZygoteSpec) -> ChildLink | None:
        """Hand over the warm child of exactly this revision, if it is awake and has room for its next task."""
        with self._lock:
            child = self._idle.get(spec.space)
            if (
                child is None
                or child.spec.revision != spec.revision
                or child.sleep is not None
                or child is self._moving
            ):
                return None
            del self._idle[spec.space]
        held = child.memory.held_bytes
        if not child.gone and self._free_bytes(held) >= self._needs.of(spec, held) - held:
            self._taken = child
            return child
        with self._lock:
            self._idle[spec.space] = child
        return None

    def make_room_for_new(self, spec: ZygoteSpec, weights_bytes: int) -> None:
        """Free a place and the memory that a Space needs, at least its weights, before its child is made."""
        self._make_place(spec.space)
        self._make_room(spec, self._needs.of(spec, weights_bytes), 0, self._needs.least(spec, weights_bytes))
        if self._free_bytes(0) < weights_bytes:
            logger.warning(
                "Space %s has %s of weights, and its device %s free with nothing of this worker's on it",
                *(spec.space, bytes_in_words(weights_bytes), bytes_in_words(self._free_bytes(0))),
            )

    def make_room_for_weights(self, spec: ZygoteSpec, weights_bytes: int, held: int = 0) -> None:
        """Free what the weights of a child without a task need, which holds so much. No child moves that is spared."""
        self._make_place(spec.space)
        self._make_room(spec, weights_bytes, held, 0)

    def check_room(self, space: str, weights_bytes: int) -> None:
        """Raise DoesNotFit if a Space has more weights than fit beside sleepers and the children that are spared."""
        others = (child for child in self.children() if child.spec.space != space)
        stay = (each for each in others if each.sleep is not None or self._eviction.spares(each, space))
        self._memory.check(space, weights_bytes, {each.spec.space: each.memory.held_bytes for each in stay})

    def make_room_for(self, child: ChildLink) -> None:
        """Free the memory that a taken warm child needs for its next task beyond the memory that it holds."""
        held, weights = child.memory.held_bytes, weights_of(child)
        self._make_room(child.spec, self._needs.of(child.spec, weights), held, self._needs.least(child.spec, weights))

    def evict_next(self) -> None:
        """Evict one more child than the account asked for, if there is any: the device was full all the same."""
        if awake := [child for child in self.children() if child.sleep is None]:
            self.host.put(self._by_worth(awake)[0])
        elif sleepers := self.children():
            self.host.kill(self.host.by_worth(sleepers)[0])

    @contextmanager
    def moving(self, child: ChildLink, coming_bytes: int = 0) -> Iterator[None]:
        """Within this an idle child goes to sleep, or wakes and then holds so many bytes more. No task is given it.

        Raises Halted if a task has it already.
        """
        with self._lock:
            if self._idle.get(child.spec.space) is not child:
                raise Halted(f"the child of Space {child.spec.space} was not moved")
            self._moving, self._coming_bytes = child, coming_bytes
        try:
            yield
        finally:
            with self._lock:
                self._moving, self._coming_bytes = None, 0

    def lacks(self, sleeper: ChildLink, running: Collection[ChildLink]) -> int:
        """Bytes of the device that are missing for an idle sleeper to wake and begin a task, beside what the tasks of
        these children may need; at most 0 if none are.
        """
        held = sleeper.memory.held_bytes
        theirs = sum(self._needs.of(child.spec, child.memory.held_bytes) for child in running)
        return self._needs.of(sleeper.spec, weights_of(sleeper)) - held - self._free_bytes(theirs)

    def expected_less(self, space: str, than: float) -> Iterator[ChildLink]:
        """Idle children that may make room for a Space, and of which fewer calls a second are expected.

        No sleeper need be killed for the next one: it fits beside those that were put to sleep before it is asked for.
        """
        return (
            child
            for child in self._in_order(space)
            if child.sleep is None
            and self.host.has_room_for(child)
            and self._eviction.demand(child.spec.space) < than
            and not self._eviction.spares(child, space)
        )

    def keep(self, child: ChildLink) -> None:
        """Take back a child whose task has ended."""
        child.used_at = self._clock()
        if child.tasks_done:
            self._needs.learn(child.spec, child.memory)
        with self._lock:
            self._idle[child.spec.space] = child
        self._taken = None

    def learn_shortage(self, spec: ZygoteSpec) -> None:
        """Learn that a task of this Space ran out of device memory: next time all other children make room for it."""
        self._needs.learn_shortage(spec)

    @contextmanager
    def measured(self, space: str, level: Level) -> Iterator[None]:
        """Within this a child is made: learn the seconds from this level, unless it fails.

        The seconds in which others went to sleep do not count.
        """
        started = self._clock() - self.host.seconds_spent
        yield
        seconds = self._clock() - self.host.seconds_spent - started
        with self._lock:
            self._costs.learn(space, level, seconds)
            self._seen.pop(space, None)
            self._seen[space] = None

    def warmth(self) -> Warmth:
        """Seconds to a ready child, for each Space that was lately here and for any other."""
        with self._lock:
            recent = {*self._idle, *list(self._seen)[-MOST_KNOWN:]}
            seconds = {space: self._costs.seconds(space, self._level(space)) for space in recent}
            return Warmth(seconds, self._costs.typical(Level.UNSEEN))

    def let_go(self, space: str) -> None:
        """Discard the idle child of a Space, if there is one."""
        with self._lock:
            child = self._idle.pop(space, None)
            self._seen.pop(space, None)
        if child is not None:
            child.discard()

    @property
    def budget_bytes(self) -> int:
        """Bytes of the device that all children together may hold."""
        return self._memory.budget_bytes

    @property
    def held_bytes(self) -> int:
        """Bytes of the device that the idle children hold."""
        return self._coming_bytes + sum(child.memory.held_bytes for child in self.children())

    def children(self) -> list[ChildLink]:
        """The idle children."""
        with self._lock:
            return list(self._idle.values())

    def on_host(self) -> list[ChildLink]:
        """Children that may have copies of their tensors in host memory, also one that runs a task."""
        return self.children() + ([self._taken] if self._taken is not None else [])

    def discard(self, child: ChildLink) -> None:
        """Kill an idle child, once: another thread may have done so, and its pid is another process's then."""
        with self._lock:
            is_here = self._idle.get(child.spec.space) is child
            if is_here:
                del self._idle[child.spec.space]
        if is_here:
            child.discard()

    def clear(self) -> None:
        """Discard every child."""
        for child in self.children():
            self.discard(child)

    def _make_place(self, space: str) -> None:
        while (crowded := self._first_beyond(self._limit - 1, space)) is not None:
            self.host.put(crowded)

    def _make_room(self, spec: ZygoteSpec, needed: int, held: int, least: int) -> None:
        """Have children free cached memory first, then evict them, those that are worth least first.

        A sleeper holds little of the device. It is killed only for the memory that another cannot begin without, and
        that memory alone makes a child move that is spared.
        """
        for child in self.children():
            if child.gone:
                self.discard(child)
        spared = needed < self._memory.budget_bytes  # trimming does not help a Space that needs the whole device
        steps = [(self._trim, needed)] if spared else []
        steps += [(self.host.put, needed)] if self.host.budget is not None else []
        for shrink, goal in (*steps, (self.host.kill, needed if self.host.budget is None else least)):
            for child in self._in_order(spec.space):
                enough = least if self._eviction.spares(child, spec.space) else goal
                if self._free_bytes(held) >= enough - held:
                    break
                shrink(child)

    def _free_bytes(self, held: int) -> int:
        return self._memory.free_bytes(held + self.held_bytes)

    def _trim(self, child: ChildLink) -> None:
        if not child.is_trimmed:
            try:
                child.trim()
            except (ChannelClosed, TimeoutError):
                self.discard(child)

    def _level(self, space: str) -> Level:
        return level_of(self._idle[space]) if space in self._idle else Level.HOST

    def _first_beyond(self, limit: int, space: str) -> ChildLink | None:
        """The child that makes room first, if more than `limit` are awake and not all are spared."""
        awake = [child for child in self.children() if child.sleep is None]
        movable = [child for child in awake if not self._eviction.spares(child, space)]
        return self._by_worth(movable)[0] if len(awake) > limit and movable else None

    def _in_order(self, space: str) -> list[ChildLink]:
        """All children, those that are spared last."""
        return sorted(self._by_worth(self.children()), key=lambda child: self._eviction.spares(child, space))

    def _by_worth(self, children: Collection[ChildLink]) -> list[ChildLink]:
        """Children by the worth of their room on the device."""

        def wait(child: ChildLink) -> float:
            return self._costs.seconds(child.spec.space, self.host.level_after(child))

        return self._eviction.order(children, wait, lambda child: child.memory.held_bytes)
