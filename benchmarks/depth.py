"""Does a deep queue cost more than a shallow one? `python -m benchmarks.depth`

Server time of each script, so that what the client and the socket cost does not hide a difference. Three brokers that
differ in depth are measured in turns, for 1, 50 and 1,000 Spaces. Peak memory: about 3 GB.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from statistics import median

from benchmarks.brokers import celery_message, make_task, volatile_broker
from spaces.farm.queue import Queue
from spaces.farm.scripts import source
from spaces.farm.warmth import Warmth

DEPTHS = (1_000, 100_000, 1_000_000)
SPACES = (1, 50, 1_000)
ROUNDS, CALLS = 15, 100
BUDGET = 2.0
CHUNK = 20_000  #: tasks that one script pushes, in about a third of a second

WARMTH = Warmth({f"space-{number}": 0.1 * number for number in range(4)}, unseen=5.0)

#: Pushes many tasks at once by push.lua itself, so that what is filled is what a push leaves.
FILL = """
local function push(KEYS, ARGV)
{push}
end
for number = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local task = {{ unpack(ARGV, 4) }}
  task[1] = task[1] .. number
  task[4] = 'space-' .. number % tonumber(ARGV[3])
  task[7] = number * 7919 % 300 + 1
  push({{ keys.task(task[1]) }}, task)
end
"""


class Filled:
    """A queue of some depth, and what is done to it; its depth stays the same over a round."""

    def __init__(self, queue: Queue, depth: int, spaces: int) -> None:
        self.queue, self.depth, self.spaces = queue, depth, spaces
        self._chance = random.Random(depth + spaces)
        self._number = count()
        before = self._memory_bytes
        self._fill()
        self.bytes_per_task = (self._memory_bytes - before) / depth

    def push(self) -> None:
        space = f"space-{next(self._number) % self.spaces}"
        self.queue.push(make_task(space, self._chance.uniform(1, 300)), celery_message())

    def claim(self) -> None:
        assert self.queue.claim("w1", ["large"], WARMTH)

    def place(self) -> None:
        assert self.queue.position(f"{self._chance.randrange(self.depth)}") is not None
