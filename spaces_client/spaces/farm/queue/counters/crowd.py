"""Counts those who wait for a farm: its web processes, and the visitors of waiting tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from spaces.farm.queue.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

#: Waiting tasks that are looked at, the oldest first, so that a long queue does not slow the reading.
MOST = 5_000


@dataclass(frozen=True, slots=True)
class Crowd:
    """Those who wait now."""

    web_processes: int
    visitors: int  #: different ones; a task without a visitor counts as one


def read_crowd(redis: Redis, keys: Keys) -> Crowd:
    """Those who wait now. Raises redis's errors."""
    now, _ = redis.time()
    waiting = cast(list[bytes], redis.zrange(keys.arrivals(), 0, MOST - 1))
    with redis.pipeline(transaction=False) as pipe:
        pipe.zcount(keys.clients(), now, "+inf")
        for task in waiting:
            pipe.hget(keys.task(task.decode()), "visitor")
        web_processes, *visitors = cast(list[int | bytes | None], pipe.execute())
    different = {visitor or task for task, visitor in zip(waiting, visitors, strict=True)}
    return Crowd(cast(int, web_processes), len(different))
