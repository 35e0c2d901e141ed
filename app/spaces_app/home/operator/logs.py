"""The log of a Space, live: what its page writes, its processes on this host's workers, or those that build it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from spaces.farm import log_files

#: Bytes of the end of a log that are shown at first, and at most at once.
TAIL_BYTES = 64 * 1024

#: Seconds between two looks at the end of a file.
INTERVAL = 1.0


def log_of(state_dir: Path, space: str, kind: str) -> Path:
    """The file; `kind` is `web`, of the page that has written last, `worker` or `build`."""
    match kind:
        case "build":
            return log_files.of_builds(state_dir, space)
        case "worker":
            return log_files.of_workers(state_dir, space)
        case _:
            return next(reversed(log_files.of_pages(state_dir, space)), log_files.of_page(state_dir, space))


async def follow(path: Path) -> AsyncIterator[str]:
    """The end of a file, and then what is added; a file that begins anew is shown from its beginning."""
    place = max(0, _size(path) - TAIL_BYTES)
    while True:
        size = _size(path)
        if size < place:
            place = 0
        if size > place:
            text = await asyncio.to_thread(_read, path, place)
            place += len(text)
            yield text.decode(errors="replace")
        else:
            await asyncio.sleep(INTERVAL)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path, place: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(place)
            return file.read(TAIL_BYTES)
    except OSError:
        return b""
