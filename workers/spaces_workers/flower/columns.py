"""Columns of Flower's list of tasks that only the farm can fill: rank, visitor, swap, held seconds, who cancelled.

The facts are those of the operator's page. They are read when a page of the list is shown, at most once a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from flower.views.tasks import TASK_COLUMNS
from redis import RedisError

from spaces.farm.queue import settings
from spaces.farm.queue.counters.bounds import HISTORY
from spaces.farm.queue.counters.history import Facts, read_history
from spaces.farm.queue.counters.ranks import Rank, read_ranks
from spaces.farm.queue.queue import Queue
from spaces.farm.recent import Recent

logger = logging.getLogger(__name__)

#: Key and heading of each.
COLUMNS = {"held": "Held", "start": "Start", "rank": "Rank", "visitor": "Visitor", "by": "Cancelled by"}

#: Seconds for which what was read of ended tasks is used again.
FRESH = 1.0

Row = dict[str, str]


class Shown:
    """A task as Flower knows it, with the farm's facts in its row of the list."""

    def __init__(self, task: Any, facts: Row) -> None:  # Any: celery's task has no types
        self._task = task
        self._facts = facts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def as_dict(self) -> dict[str, Any]:
        """The row."""
        return {**self._task.as_dict(), **self._facts}


class FarmColumns:
    """Flower's option `format_task`. Use it on Flower's loop."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        TASK_COLUMNS.update(COLUMNS)
        self._queue = queue
        self._ended = Recent(self._history, FRESH, clock)

    def shown(self, task: Any) -> Shown:
        """The task with its facts, which are empty while the broker is away."""
        try:
            return Shown(task, dict.fromkeys(COLUMNS, "") | self._facts_of(task.uuid))
        except (RedisError, OSError) as error:
            logger.info("the broker could not be asked about a task: %s", error)
            return Shown(task, dict.fromkeys(COLUMNS, ""))

    def _facts_of(self, task_id: str) -> Row:
        if (facts := self._ended().get(task_id)) is not None:
            return _of_ended(facts)
        rank = read_ranks(self._queue.redis, self._queue.keys, [task_id]).get(task_id)
        return {} if rank is None else self._of_waiting(rank)

    def _history(self) -> dict[str, Facts]:
        found = read_history(self._queue.redis, self._queue.keys, HISTORY)
        return {facts.id: facts for facts in found}

    def _of_waiting(self, rank: Rank) -> Row:
        now, _ = self._queue.redis.time()
        return {"rank": f"{rank.score - now:.1f} s", "visitor": _shown(rank.visitor)}


def _of_ended(facts: Facts) -> Row:
    row = {"visitor": _shown(facts.visitor), "by": facts.reason}
    if facts.swap is not None and facts.run is not None:
        row["held"] = f"{facts.swap + facts.run + facts.overhead:.2f} s"
        row["start"] = f"cold, {facts.swap:.1f} s" if facts.is_cold else "warm"
    return row


def _shown(visitor: str) -> str:
    return settings.current().privacy.shown(visitor)
