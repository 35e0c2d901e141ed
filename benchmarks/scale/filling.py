"""Makes a queue of a given depth fast: one task of each Space is pushed normally, the others are copies of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from benchmarks.scale.brokers import celery_message, cpu_seconds, make_task
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.scripts import constants_in_lua, in_lua
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Task

#: Tasks that one script copies; a fraction of a second.
CHUNK = 10_000

#: A worker that knows ten Spaces, four of them warm.
WARMTH = Warmth({f"space-{number}": 0.0 if number < 4 else 1.0 for number in range(10)}, unseen=8.0)

_FILL = """
local spaces, now, dumps = tonumber(ARGV[3]), tonumber(redis.call('TIME')[1]), {}
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local space = 'space-' .. number % spaces
  local id, score = 'task-' .. number, now + 300 * number / tonumber(ARGV[4])
  dumps[space] = dumps[space] or redis.call('DUMP', keys.task(space))
  redis.call('RESTORE', keys.task(id), WAITING * 1000, dumps[space])
  redis.call('ZADD', keys.queue('large'), score, id)
  redis.call('ZADD', keys.waiting('large', space), score, id)
  redis.call('ZADD', keys.arrivals(), now, id)
  redis.call('SADD', keys.client('web-1'), id)
end
"""


class FilledQueue:
    """`depth` tasks of `spaces` Spaces wait in it, with estimates from 1 to 300 s; so many wait after each round."""

    def __init__(self, queue: Queue, depth: int, spaces: int) -> None:
        self._queue = queue
        self._spaces = spaces
        self._chance = random.Random(depth + spaces)
        self._message = celery_message(queue.redis)
        empty = self._memory_bytes
        self._fill(depth)
        self.bytes_per_task = (self._memory_bytes - empty) / depth

    def measure(self, calls: int) -> dict[str, float]:
        """CPU seconds that the broker spends on a push, a look at a place, a claim; the mean of so many calls each."""
        tasks = [self._task() for _ in range(calls)]
        return {
            "push": self._timed([lambda task=task: self._queue.push(task, self._message) for task in tasks]),  # type: ignore[misc]
            "place": self._timed([lambda task=task: self._queue.position(task.id) for task in tasks]),  # type: ignore[misc]
            "claim": self._timed([lambda: self._queue.claim("w1", ["large"], WARMTH)] * calls),
        }

    def _task(self) -> Task:
        return make_task(f"space-{self._chance.randrange(self._spaces)}", self._chance.uniform(1, 300))

    def _timed(self, calls: list[Callable[[], object]]) -> float:
        calls[0]()  # which may have to load the script first
        before = cpu_seconds(self._queue.redis)
        for call in calls:
            assert call() is not None
        return (cpu_seconds(self._queue.redis) - before) / len(calls)

    def _fill(self, depth: int) -> None:
        for number in range(self._spaces):
            self._queue.push(replace(make_task(f"space-{number}"), id=f"space-{number}"), self._message)
        constants = constants_in_lua(self._queue.rules.limits.outcome_lifetime)
        copy = self._queue.redis.register_script(in_lua(constants + _FILL, self._queue.keys))
        for first in range(self._spaces, depth, CHUNK):
            copy(
                keys=[self._queue.keys.queue("large")], args=[first, min(first + CHUNK, depth) - 1, self._spaces, depth]
            )

    @property
    def _memory_bytes(self) -> int:
        return int(self._queue.redis.info("memory")["used_memory"])
