"""Tries a revision beside the one that serves: its page must answer, and its zygote must get ready."""

from __future__ import annotations

import asyncio
from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.queue import settings
from spaces.farm.queue.registry import SpaceRecord
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.messages import ZygoteSpec
from spaces_workers.nursery import client as nursery
from spaces_workers.up.hosting.revision import Revision
from spaces_workers.up.keeper import Keeper

#: Seconds that a revision may take to answer: its environment may have to be made, its models downloaded.
PATIENCE = 1800.0


class TrialFault(SpacesError):
    """A revision does not serve."""


def refusal(revision: Revision, before: Revision | None, reason: str, log: Path) -> TrialFault:
    """Why a revision is not served, with the log that has the rest; `before` is the one that serves."""
    goes_on = f". Revision {before.number} goes on" if before else ""
    return TrialFault(
        f"revision {revision.number} of Space {revision.space.name} is not served: {reason}; see {log}{goes_on}"
    )


async def page_answers(keeper: Keeper) -> None:
    """Return when a page answers. Raises TrialFault, with what its script said last."""
    try:
        async with asyncio.timeout(PATIENCE):
            await keeper.settled.wait()
    except TimeoutError:
        raise TrialFault(f"its page did not answer within {PATIENCE:g} s") from None
    if not keeper.answers:
        raise TrialFault(f"its page does not answer: {keeper.problem}")


async def zygote_gets_ready(record: SpaceRecord, key: bytes, socket: Path) -> None:
    """Return when the nursery of this host has the zygote of a revision. Raises TrialFault, with the traceback."""
    spec = ZygoteSpec(
        space=record.name,
        revision=record.revision,
        app_file=record.app_file,
        python=record.python,
        key=key,
        forks=settings.of_space(record.name).fork,
        calls=record.calls,
    )
    try:
        channel, _ = await asyncio.to_thread(nursery.connect, socket, spec)
    except (SpacesError, ChannelClosed) as error:
        raise TrialFault(f"it does not run on a worker: {error}") from None
    channel.close()
