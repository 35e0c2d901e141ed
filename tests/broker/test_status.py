"""The status of a farm as the CLI and the home page read it from the broker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.errors import RefusedError
from spaces.farm.events import Succeeded
from spaces.farm.farm_status import FarmStatus, Refusals
from spaces.farm.page_addresses import Pages
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.limits import Limits
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader

from .support import MESSAGE, PLAIN, claimed, make_task, pushed

WORKER = {
    "node": "gpu0@host",
    "host": "host",
    "pid": 1,
    "device": "GPU",
    "sizes": ["large"],
    "memory_bytes": 1,
    "held_bytes": 0,
    "busy": [],
    "warm": [],
    "done": 0,
}


def status_of(queue: Queue) -> FarmStatus:
    return StatusReader(queue).read(Pages("", "", {}))


def test_a_task_keeps_its_readable_name_from_the_push_to_after_its_end(queue: Queue) -> None:
    for _ in range(3):
        pushed(queue)
    queue.end(claimed(queue).lease, Succeeded(Payload(b"")))
    claimed(queue)
    found = {task.state: task.label for task in status_of(queue).tasks}
    assert found == dict.fromkeys(("queued", "running", "succeeded"), "digits.generate")


def test_the_wait_at_the_end_of_each_queue_is_told(queue: Queue) -> None:
    queue.leases.beat("w1", WORKER)
    pushed(queue, estimate=30.0)
    pushed(queue, estimate=40.0)
    found = [(each.size, each.waiting, each.expected_wait) for each in status_of(queue).queues]
    assert found == [("large", 2, 70.0), ("xlarge", 0, None)]


def test_what_was_refused_is_told(queue: Queue) -> None:
    assert status_of(queue).refusals == ()
    strict = Queue(queue.redis, rules=replace(PLAIN, limits=Limits(space_queue=1)))
    pushed(strict)
    for _ in range(2):
        with pytest.raises(RefusedError):
            strict.push(make_task(), MESSAGE)
    assert status_of(queue).refusals == (Refusals("space_queue", 2),)
