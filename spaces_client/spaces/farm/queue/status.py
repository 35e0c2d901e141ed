"""Reads the status of a farm from its broker, for `zerofarm up`, `zerofarm status` and the home page."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from spaces.farm.farm_status import (
    FarmStatus,
    QueueStatus,
    Refusals,
    ResidentStatus,
    SpaceStatus,
    SpaceTerms,
    TaskStatus,
    WorkerStatus,
)
from spaces.farm.page_addresses import Pages
from spaces.farm.queue import settings
from spaces.farm.queue.control.controls import drained, pinned, terms
from spaces.farm.queue.keys import LEARNED
from spaces.farm.queue.registry import Registry, SpaceRecord
from spaces.farm.size import Size
from spaces.farm.task import State

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue

#: Waiting tasks that are listed for each size, the next first.
HEAD = 20

#: Ended tasks that are listed, and keys that are scanned to find them, so that a full broker does not slow the reading.
LATEST = 20
SCANNED = 5_000

_FIELDS = ("state", "label", "space", "worker", "enqueued_at", "started_at", "ended_at", "time_limit", "size")


class StatusReader:
    """Reads the status of a farm over one connection. Raises redis's errors if the broker does not answer."""

    def __init__(self, queue: Queue) -> None:
        self.queue = self._queue = queue
        self._redis = queue.redis
        self._keys = queue.keys
        self._registry = Registry(queue.redis, queue.keys)

    def read(self, pages: Pages) -> FarmStatus:
        """The farm now."""
        running = self._tasks(self._running_ids())
        queues = tuple(self._queues())
        records = {record.name: record for record in self._registry.all()}
        return FarmStatus(
            now=self._now(),
            home=pages.home,
            flower=pages.flower,
            workers=tuple(self._workers()),
            queues=queues,
            refusals=tuple(Refusals(limit, tasks) for limit, tasks in self._queue.refused().items()),
            spaces=tuple(self._spaces(records, pages, running, {each.size: each.expected_wait for each in queues})),
            tasks=(*running, *self._next(), *self._latest()),
            separation=pages.separation,
        )

    def unused_for(self, spaces: Iterable[str]) -> dict[str, float]:
        """Seconds since a task of each Space last ran: 0 while one waits or runs, infinite if none is known.

        A pinned Space counts as used.
        """
        used = {task.space for task in self._tasks(self._running_ids())} | pinned(self._queue)
        return {
            space: 0.0 if space in used or settings.of_space(space).pin else self._since_last_task(space)
            for space in spaces
        }

    def _since_last_task(self, space: str) -> float:
        if self._queue.waiting(space):
            return 0.0
        left = self._redis.ttl(self._keys.learned(space))  # it is set anew when a task ends
        return LEARNED - left if left >= 0 else math.inf

    def task_ids(self, beginning: str) -> list[str]:
        """The ids of tasks that start with `beginning`."""
        if not re.fullmatch(r"[0-9a-f]+", beginning):
            return []
        prefix = len(self._keys.task(""))
        found = self._redis.scan_iter(match=self._keys.task(f"{beginning}*"), count=1000)
        return sorted(key.decode()[prefix:] for key in found)

    def _now(self) -> float:
        seconds, microseconds = self._redis.time()
        return seconds + microseconds / 1e6

    def _queues(self) -> Iterator[QueueStatus]:
        forecast = self._queue.outlook.forecast()
        for size in Size:
            depth = self._queue.depth(size)
            yield QueueStatus(size, depth, forecast.of(size).wait(depth))

    def _spaces(
        self,
        records: dict[str, SpaceRecord],
        pages: Pages,
        running: Sequence[TaskStatus],
        waits: Mapping[str, float | None],
    ) -> Iterator[SpaceStatus]:
        busy, of_operator = Counter(task.space for task in running), terms(self._queue)
        alive = self._queue.leases.clients()
        for name in sorted(records.keys() | pages.spaces.keys()):
            functions = records[name].functions if name in records else ()
            waiting = {str(size): self._redis.zcard(self._keys.waiting(size, name)) for size in Size}
            yield SpaceStatus(
                name=name,
                functions=tuple(str(function.name) for function in functions),
                waiting=sum(waiting.values()),
                running=busy[name],
                expected_wait=_longest(waits.get(function.size) for function in functions),
                page=pages.spaces.get(name),
                served=name in pages.spaces or records[name].client in alive,
                terms=_with_pin_of_file(name, of_operator.get(name, SpaceTerms())),
                waiting_by_size=waiting,
            )

    def _workers(self) -> Iterator[WorkerStatus]:
        without_tasks = drained(self._queue)
        for worker, info in self._queue.leases.workers().items():
            if info:
                yield replace(_worker(info), drained=not without_tasks.isdisjoint((worker, info["node"])))

    def _running_ids(self) -> list[str]:
        workers = cast(list[bytes], self._redis.zrange(self._keys.workers(), 0, -1))
        held = (cast(set[bytes], self._redis.smembers(self._keys.held(worker.decode()))) for worker in workers)
        return sorted(task.decode() for tasks in held for task in tasks)

    def _next(self) -> list[TaskStatus]:
        heads = (cast(list[bytes], self._redis.zrange(self._keys.queue(size), 0, HEAD - 1)) for size in Size)
        return [
            task for head in heads for task in self._tasks([name.decode() for name in head]) if task.state == "queued"
        ]

    def _latest(self) -> list[TaskStatus]:
        prefix = len(self._keys.task(""))
        found = self._redis.scan_iter(match=self._keys.task("*"), count=1000)
        ids = [key.decode()[prefix:] for key in islice(found, SCANNED)]
        ended = [task for task in self._tasks(ids) if State(task.state).final]
        return sorted(ended, key=lambda task: -task.changed_at)[:LATEST]

    def _tasks(self, ids: Sequence[str]) -> list[TaskStatus]:
        with self._redis.pipeline(transaction=False) as pipe:
            for task in ids:
                pipe.hmget(self._keys.task(task), *_FIELDS)
            found = cast(list[list[bytes | None]], pipe.execute())
        return [
            _task(task, place, values) for place, (task, values) in enumerate(zip(ids, found, strict=True)) if values[0]
        ]


def _with_pin_of_file(space: str, of_operator: SpaceTerms) -> SpaceTerms:
    return replace(of_operator, pinned=of_operator.pinned or settings.of_space(space).pin)


def _longest(waits: Iterable[float | None]) -> float | None:
    """Of the waits of a Space's functions; None if there is none, or one cannot begin."""
    known = list(waits)
    return None if None in known else max((wait for wait in known if wait is not None), default=None)


def _worker(info: dict[str, Any]) -> WorkerStatus:  # Any: a worker's description of itself
    return WorkerStatus(
        name=info["node"],
        host=info["host"],
        pid=info["pid"],
        device=info["device"],
        sizes=tuple(info["sizes"]),
        memory_bytes=info["memory_bytes"],
        held_bytes=info["held_bytes"],
        busy=tuple(info["busy"]),
        warm=tuple(info["warm"]),
        done=info["done"],
        residents=tuple(ResidentStatus(*each) for each in info.get("residents", ())),
        uuid=info.get("uuid", ""),
        utilization_percent=info.get("utilization_percent"),
        temperature_celsius=info.get("temperature_celsius"),
    )


def _task(task_id: str, place: int, values: Iterable[bytes | None]) -> TaskStatus:
    state, label, space, worker, enqueued_at, started_at, ended_at, time_limit, size = values
    return TaskStatus(
        id=task_id,
        label=_text(label),
        space=_text(space),
        state=_text(state),
        worker=_text(worker).split(":")[0],
        position=place if state == b"queued" else None,
        enqueued_at=float(enqueued_at or 0),
        started_at=float(started_at) if started_at else None,
        ended_at=float(ended_at) if ended_at else None,
        time_limit=float(time_limit or 0),
        size=_text(size),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
