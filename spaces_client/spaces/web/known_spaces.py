"""The records of the Spaces that a program calls, so that it does not ask for them before each call.

The farm compares the revision of a kept record with the latest one when it accepts the task. So no call runs on an
earlier revision than a call that asks. A record may change without its revision, for instance where a duration depends
on the environment of the Space: this is noticed within LIFETIME.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from spaces.errors import RefusedError

if TYPE_CHECKING:
    from spaces.farm.queue.registry import SpaceRecord

#: Seconds for which a record is kept.
LIFETIME = 10.0


class KnownSpaces:
    """Keeps the records that `find` has found."""

    def __init__(self, find: Callable[[str], SpaceRecord], clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._known: dict[str, tuple[float, SpaceRecord]] = {}

    def kept(self, space: str, function: str) -> SpaceRecord | None:
        """The record as it was some seconds ago, if it is kept and has the function. For tasks with `only_latest`."""
        until, record = self._known.get(space, (0.0, None))
        if record is None or self._clock() > until:
            return None
        with suppress(RefusedError):
            record.function(function)
            return record
        return None

    def latest(self, space: str) -> SpaceRecord:
        """The record as it is now. Raises RefusedError for a Space that is not served."""
        self._known.pop(space, None)
        record = self._find(space)
        if record.revision:
            self._known[space] = self._clock() + LIFETIME, record
        return record
