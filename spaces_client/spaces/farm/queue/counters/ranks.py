"""The rank, estimate and visitor of waiting and running tasks, which operators see beside their status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from spaces.farm.queue.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

_FIELDS = ("score", "estimate", "visitor", "attempt")


@dataclass(frozen=True, slots=True)
class Rank:
    """Why a task stands where it stands."""

    score: float  #: the lowest is the next; a second of waiting counts as a second
    estimate: float  #: expected seconds
    visitor: str
    attempt: int  #: workers that have taken it


def read_ranks(redis: Redis, keys: Keys, tasks: Sequence[str]) -> dict[str, Rank]:
    """The ranks of tasks, by id; without those that are forgotten. Raises redis's errors."""
    with redis.pipeline(transaction=False) as pipe:
        for task in tasks:
            pipe.hmget(keys.task(task), *_FIELDS)
        found = cast(list[list[bytes | None]], pipe.execute())
    return {task: _rank(values) for task, values in zip(tasks, found, strict=True) if values[0] is not None}


def _rank(values: Sequence[bytes | None]) -> Rank:
    score, estimate, visitor, attempt = values
    return Rank(float(score or 0), float(estimate or 0), (visitor or b"").decode(), int(attempt or 0))
