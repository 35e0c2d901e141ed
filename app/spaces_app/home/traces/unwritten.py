"""The ended tasks whose traces are still to be written, each given to one home page of the farm.

The broker keeps how far they have come, over restarts: they are read by a consumer group of the farm's history.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from redis.exceptions import ResponseError

from spaces.farm.queue.counters.history import Facts, facts_of
from spaces.farm.queue.keys import COUNTED
from spaces.farm.queue.queue import Queue

_GROUP = "traces"

#: All home pages share one: who reads an entry does not matter.
_CONSUMER = "home"

#: Tasks that are read at once.
MOST = 100

#: Seconds after which a task is read again whose trace was not written.
AGAIN = 30.0

#: Seconds for which an ended task is waited for, less than the broker's patience with a read.
PATIENCE = 5.0

_Entries = Sequence[tuple[bytes, dict[bytes, bytes] | None]]


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The entry of one task in the farm's history."""

    name: str
    fields: Mapping[bytes, bytes]

    @property
    def facts(self) -> Facts:
        """The facts of the task. Raises ValueError for an entry of another version."""
        return facts_of(self.fields)

    @property
    def ended_at(self) -> float:
        """By the broker's clock."""
        return int(self.name.partition("-")[0]) / 1000


class UnwrittenTraces:
    """The tasks of one farm that end after the first use. Methods raise redis's errors."""

    def __init__(self, queue: Queue, again: float = AGAIN) -> None:
        self._redis = queue.redis
        self._key = queue.keys.history()
        self._again_ms = int(again * 1000)
        self._exists = False

    def next(self, patience: float = PATIENCE) -> list[Unwritten]:
        """Some tasks: those that were read but not written, else new ones, for which it waits `patience` seconds."""
        self._ensure()
        try:
            return self._in_vain() or self._new(patience)
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self._exists = False  # its key had expired: nothing has happened in the farm for long
            return []

    def written(self, tasks: Sequence[Unwritten]) -> None:
        """Their traces need not be written any more."""
        if tasks:
            self._redis.xack(self._key, _GROUP, *(each.name for each in tasks))

    def _ensure(self) -> None:
        if self._exists:
            return
        with suppress(ResponseError):  # there is one
            self._redis.xgroup_create(self._key, _GROUP, id="$", mkstream=True)
        self._redis.expire(self._key, COUNTED)
        self._exists = True

    def _in_vain(self) -> list[Unwritten]:
        found: Any = self._redis.xautoclaim(  # Any: redis-py has one type for all answers
            self._key, _GROUP, _CONSUMER, min_idle_time=self._again_ms, count=MOST
        )
        return list(_read(found[1]))

    def _new(self, patience: float) -> list[Unwritten]:
        found = cast(
            "list[tuple[bytes, _Entries]] | None",
            self._redis.xreadgroup(_GROUP, _CONSUMER, {self._key: ">"}, count=MOST, block=max(1, int(patience * 1000))),
        )
        return [each for _, entries in found or [] for each in _read(entries)]


def _read(entries: _Entries) -> Iterator[Unwritten]:
    for entry, fields in entries:
        if fields:  # else the broker has forgotten it since
            yield Unwritten(entry.decode(), fields)
