"""Tasks that nobody reads any more: their payloads are discarded by whoever comes last, the worker or the caller.

A caller that leaves a task which has not ended says so in the broker. The worker that ends the task hears it with the
answer (`Ended.UNREAD`), reads the stream back and discards all that the task was given and said. A caller that leaves
a task which has ended does the same itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from spaces.farm import wire
from spaces.farm.events import payload_of
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Queue
from spaces.farm.task import Task

#: Entries of a stream that are read at once.
FETCH = 100


def unfollow(queue: Queue, task_id: str) -> bool:
    """Nobody reads a task any more. Whether its payloads are another's to discard, because it has not ended."""
    return bool(queue.scripts.run("unfollow", queue.keys.task(task_id), task_id))


def payloads_of(queue: Queue, task: Task) -> Iterator[Payload]:
    """The arguments of a task that has ended, and every value that it said, in this attempt or an earlier one."""
    yield task.arguments
    yield from values_of(queue, task.id)


def values_of(queue: Queue, task_id: str) -> Iterator[Payload]:
    """Every value that a task has said."""
    after = "-"
    while True:
        entries = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]",
            queue.redis.xrange(queue.keys.events(task_id), min=after, count=FETCH),
        )
        for _, fields in entries:
            if (payload := payload_of(wire.unpack(fields[b"e"]))) is not None:
                yield payload
        if len(entries) < FETCH:
            return
        after = f"({entries[-1][0].decode()}"
