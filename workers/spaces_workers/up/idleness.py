"""Decides which pages of a host are ended: of Spaces not used for long; of the longest unused while memory is short.

A visitor is a connection to the page; an open page of Gradio has one. Tasks count too, whoever has sent them.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil
from redis import RedisError

from spaces.farm.queue.rules import IdleRules
from spaces_workers.up.keeper import Keeper
from spaces_workers.up.reports import Note, Reporter
from spaces_workers.up.visits import Visits, latest_visits

#: Seconds between two looks at all Spaces, and between two renewals of what the broker knows of them.
INTERVAL, RENEWAL = 1.0, 3600.0

#: Seconds for which a Space must be unused to be stopped when memory is short, and until the next one is.
SHORT_OF_MEMORY = 20.0


@dataclass(frozen=True, slots=True)
class Broker:
    """The questions about Spaces that the broker answers, and the news that it is told. All may raise RedisError."""

    unused_for: Callable[[Iterable[str]], Mapping[str, float]]  #: seconds since the last task of each of these Spaces
    tell_of_idleness: Callable[[str], None]
    tell_of_visit: Callable[[str], None]
    renew: Callable[[str], None]  #: called now and then for each Space that is served


class Idleness:
    """All Spaces of a host, used or idle. Use it on one event loop."""

    def __init__(
        self,
        keepers: Callable[[], Sequence[Keeper]],
        broker: Broker,
        after: Callable[[str], float],
        rules: IdleRules,
        report: Reporter,
        clock: Callable[[], float] = time.monotonic,
        visits: Callable[[Collection[int]], Mapping[int, Visits]] = latest_visits,
        available: Callable[[], float] = lambda: psutil.virtual_memory().available / psutil.virtual_memory().total,
    ) -> None:
        self._all = keepers
        self._broker = broker
        self._after = after  #: seconds without a use after which a Space is stopped
        self._rules = rules
        self._report = report
        self._clock = clock
        self._visits = visits
        self._available = available
        self._used_at: dict[str, float] = {}
        self._idle_since: dict[str, float] = {}
        self._connections: dict[str, int] = {}  #: to the page of each Space, at the last look
        self._renewed_at = self._eased_at = clock()

    async def watch(self) -> None:
        """Stop Spaces that nobody uses, and start those that get a task, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                unused = await asyncio.to_thread(self._ask, list(self._keepers))
            except RedisError:
                continue  # without a broker nobody can tell who is used
            await self.look(unused)

    async def look(self, unused: Mapping[str, float]) -> None:
        """One look at all Spaces; `unused` has the seconds since the last task of each.

        Spaces that come meanwhile are seen by the next look; those that go are not stopped.
        """
        now, keepers = self._clock(), self._keepers
        self._used_at = {space: self._used_at.get(space, now) for space in keepers}
        visits = await self._visits_of(keepers.values())
        for space, keeper in keepers.items():
            task_at = now - unused.get(space, math.inf)
            visit_at = now - visits[keeper.port_number].ended_for if keeper.can_stop else now
            self._used_at[space] = max(self._used_at[space], task_at, visit_at)
            if keeper.serving == "idle" and task_at > self._idle_since.get(space, now):
                keeper.call()
        await self._tell_of(keepers, visits)
        for space in self._due(keepers, now):
            await self._stop(space, keepers[space])

    async def _tell_of(self, keepers: Mapping[str, Keeper], visits: Mapping[int, Visits]) -> None:
        """A new connection to a page is most often somebody who opens it."""
        for space, keeper in keepers.items():
            before, now = self._connections.get(space, 0), visits[keeper.port_number].connections
            self._connections[space] = now
            if now > before:
                with suppress(RedisError):
                    await asyncio.to_thread(self._broker.tell_of_visit, space)

    def _due(self, keepers: Mapping[str, Keeper], now: float) -> list[str]:
        running = sorted((s for s, keeper in keepers.items() if keeper.can_stop), key=self._used_at.__getitem__)
        due = [space for space in running if now - self._used_at[space] >= self._after(space)]
        if not due and running and self._is_short_of_memory(now) and now - self._used_at[running[0]] >= SHORT_OF_MEMORY:
            self._eased_at = now
            self._report(Note(_SHORT % (self._available() * 100, running[0])))
            due = running[:1]
        return due

    def _is_short_of_memory(self, now: float) -> bool:
        return now - self._eased_at >= SHORT_OF_MEMORY and self._available() < self._rules.memory

    async def _stop(self, space: str, keeper: Keeper) -> None:
        if self._keepers.get(space) is not keeper:
            return  # another page serves it now, or none
        if await keeper.stop_unless(lambda: self._is_used(space, keeper)):
            self._idle_since[space] = self._clock()
            try:
                await asyncio.to_thread(self._broker.tell_of_idleness, space)
            except RedisError:
                pass  # its zygotes stay, until they are needed or their worker ends
        else:
            self._used_at[space] = self._clock()

    async def _is_used(self, space: str, keeper: Keeper) -> bool:
        """Whether somebody came, or sent a task, after the look that found the Space unused."""
        visits = await self._visits_of([keeper])
        try:
            task = (await asyncio.to_thread(self._broker.unused_for, [space])).get(space, math.inf)
        except RedisError:
            return True
        return min(visits[keeper.port_number].ended_for, task) < min(self._after(space), SHORT_OF_MEMORY)

    async def _visits_of(self, keepers: Iterable[Keeper]) -> Mapping[int, Visits]:
        return await asyncio.to_thread(self._visits, [keeper.port_number for keeper in keepers])

    @property
    def _keepers(self) -> dict[str, Keeper]:
        return {keeper.service.space: keeper for keeper in self._all()}

    def _ask(self, spaces: Sequence[str]) -> Mapping[str, float]:
        if self._clock() - self._renewed_at >= RENEWAL:
            self._renewed_at = self._clock()
            for space in spaces:
                self._broker.renew(space)
        return self._broker.unused_for(spaces)


_SHORT = "the host has %.0f %% of its memory left: Space %s, unused for the longest time, is stopped until it is used"
