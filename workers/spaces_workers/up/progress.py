"""Follows what a Space imports while it starts: its own process tells it in its log, or the fork server for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from spaces_workers.up.log_tail import LogTail

#: Seconds between two looks at the log.
INTERVAL = 0.2


@asynccontextmanager
async def followed(log: LogTail, tell: Callable[[str], None]) -> AsyncIterator[None]:
    """Within this, tell the library that is imported now whenever that changes; empty: none. At the end, none is."""
    following = asyncio.create_task(_follow(log, tell))
    try:
        yield
    finally:
        following.cancel()
        tell("")


async def _follow(log: LogTail, tell: Callable[[str], None]) -> None:
    last = ""
    while True:
        if (now := log.importing()) != last:
            last = now
            tell(now)
        await asyncio.sleep(INTERVAL)
