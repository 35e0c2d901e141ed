"""Lets a Space of a local folder be served as its files are now, whenever they are saved: `zerofarm up --watch`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from spaces.errors import SpacesError
from spaces.space import source_at
from spaces_workers.up import mending
from spaces_workers.up.hosting.spaces import HostedSpaces
from spaces_workers.up.reports import Note, Reporter

#: Seconds for which the files must rest: an editor, or git, writes several.
REST = 0.3


async def watch(name: str, app_file: Path, seen: mending.Stamp, spaces: HostedSpaces, report: Reporter) -> None:
    """Serve a new revision after each change since the files were seen, for ever.

    One that fails is reported, and the one before goes on.
    """
    source = source_at(app_file)
    folder = str(app_file if source.alone else source.root)
    while True:
        seen = await changed_since(seen, lambda: mending.stamp(source))
        if name not in spaces.pages:
            return  # it was removed
        began = time.monotonic()
        try:
            revision = await spaces.update(name, folder, lambda _: None)
        except (SpacesError, OSError) as error:
            report(Note(str(error)))
        else:
            seconds = time.monotonic() - began
            report(
                Note(f"Space {name} is served as it was saved, at revision {revision.number}, after {seconds:.1f} s")
            )


async def changed_since(seen: mending.Stamp, look: Callable[[], mending.Stamp]) -> mending.Stamp:
    """The files, once they are not as they were seen, and rest."""
    while (now := await asyncio.to_thread(look)) == seen:
        await asyncio.sleep(mending.INTERVAL)
    while True:
        await asyncio.sleep(REST)
        later = await asyncio.to_thread(look)
        if later == now:
            return now
        now = later
