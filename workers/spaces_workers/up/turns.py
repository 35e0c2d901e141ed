"""Lets the Spaces of a farm start in order, a few at once for each core.

The start of a Space computes: it imports libraries and loads weights. If all started at once, the first page would
answer almost as late as the last.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager

#: Seconds after which a Space that is still starting no longer holds up others: it may be waiting for a download.
LONGEST = 20.0


class Turns:
    """Gives out turns in the order in which they are asked for. Use it on one event loop."""

    def __init__(self, at_once: int, longest: float = LONGEST) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._longest = longest

    @asynccontextmanager
    async def turn(self, on_wait: Callable[[], None]) -> AsyncIterator[None]:
        """Hold a turn within the block, though not for longer than the limit; `on_wait` is called if none is free."""
        if self._free.locked():
            on_wait()
        await self._free.acquire()
        with ExitStack() as held:
            held.callback(self._free.release)
            ending = asyncio.get_running_loop().call_later(self._longest, held.close)
            held.callback(ending.cancel)
            yield


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
