"""Lets the Spaces of a farm start in order, a few at once for each core.

The start of a Space computes: it imports libraries and loads weights. If all started at once, the first page would
answer almost as late as the last.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

#: Seconds after which a Space that is still starting no longer holds up others: it may be waiting for a download.
LONGEST = 20.0


class Turns:
    """Gives out turns in the order in which they are asked for, but first to urgent ones. Use it on one event loop."""

    def __init__(self, at_once: int, longest: float = LONGEST) -> None:
        self._free = at_once
        self._longest = longest
        self._waiting: list[_Waiting] = []

    @asynccontextmanager
    async def turn(
        self, on_wait: Callable[[], None], is_urgent: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[None]:
        """Hold a turn within the block, though not for longer than the limit; `on_wait` is called if none is free.

        `is_urgent` is asked whenever a turn gets free.
        """
        await self._get(on_wait, is_urgent)
        with ExitStack() as held:
            held.callback(self._give_back)
            ending = asyncio.get_running_loop().call_later(self._longest, held.close)
            held.callback(ending.cancel)
            yield

    async def _get(self, on_wait: Callable[[], None], is_urgent: Callable[[], bool]) -> None:
        if self._free:
            self._free -= 1
            return
        waiting = _Waiting(is_urgent, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        on_wait()
        try:
            await waiting.called
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            elif not waiting.called.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        if not self._waiting:
            self._free += 1
            return
        next_one = min(self._waiting, key=lambda each: not each.is_urgent())  # the first of the most urgent
        self._waiting.remove(next_one)
        next_one.called.set_result(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Somebody who waits for a turn."""

    is_urgent: Callable[[], bool]
    called: asyncio.Future[None]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
