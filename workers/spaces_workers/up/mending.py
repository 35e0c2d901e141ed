"""Waits until the files of a Space that could not start are changed: then it may be tried again."""

from __future__ import annotations

import asyncio

from spaces.source import Source

#: Seconds between two looks at the files.
INTERVAL = 1.0

#: Of each file its path, size and time of change.
Stamp = frozenset[tuple[str, int, int]]


async def changed(source: Source) -> None:
    """Return when a file of the Space is not as it is now. What its script wrote before it ended does not count."""
    before = await asyncio.to_thread(stamp, source)
    while await asyncio.to_thread(stamp, source) == before:
        await asyncio.sleep(INTERVAL)


def stamp(source: Source) -> Stamp:
    """The files of a Space as they are now."""
    return frozenset(_stamped(source))


def _stamped(source: Source) -> list[tuple[str, int, int]]:
    found = []
    for path in source.files():
        try:
            state = path.stat()
        except OSError:
            continue  # it was removed meanwhile
        found.append((str(path), state.st_size, state.st_mtime_ns))
    return found
