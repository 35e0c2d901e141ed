"""A task that no live worker can serve is refused at once; while no worker is alive, any task may wait."""

from __future__ import annotations

import pytest

from spaces.errors import RefusedError
from spaces.farm.queue.queue import Queue

from .support import MESSAGE, expire_worker, make_task, pushed

SLICE = {"sizes": ["large"]}
WHOLE = {"sizes": ["large", "xlarge"]}


def refused(queue: Queue, size: str) -> bool:
    try:
        queue.push(make_task(size=size), MESSAGE)
    except RefusedError:
        return True
    return False


def test_a_size_that_nobody_serves_is_refused_with_the_sizes_that_there_are(queue: Queue) -> None:
    queue.leases.beat("w1", SLICE)
    words = (
        r"digits\.generate was not queued: it needs a GPU of size 'xlarge', and the workers of this farm serve 'large'"
    )
    with pytest.raises(RefusedError, match=words):
        queue.push(make_task(size="xlarge"), MESSAGE)
    assert queue.refused() == {"size": 1}
    pushed(queue, size="large")


def test_a_whole_gpu_serves_both_sizes(queue: Queue) -> None:
    queue.leases.beat("w1", WHOLE)
    assert not refused(queue, "large")
    assert not refused(queue, "xlarge")


def test_while_no_worker_is_alive_every_size_waits(queue: Queue) -> None:
    assert not refused(queue, "xlarge")
    queue.leases.beat("w1", SLICE)
    expire_worker(queue, "w1")
    assert not refused(queue, "xlarge")


def test_a_size_is_gone_with_the_last_worker_that_served_it(queue: Queue) -> None:
    queue.leases.beat("w1", SLICE)
    queue.leases.beat("w2", WHOLE)
    queue.leases.beat("w3", WHOLE)
    queue.leases.leave("w2")
    assert not refused(queue, "xlarge")
    expire_worker(queue, "w3")
    queue.leases.beat("w1", SLICE)
    assert refused(queue, "xlarge")


def test_a_worker_that_has_not_said_what_it_serves_is_no_reason_to_refuse(queue: Queue) -> None:
    queue.leases.beat("w1")
    assert not refused(queue, "xlarge")


def test_a_size_whose_worker_is_only_late_is_not_gone(queue: Queue) -> None:
    """After an outage of the broker the first worker that beats must not speak for the others."""
    queue.leases.beat("w1", SLICE)
    queue.leases.beat("w2", WHOLE)
    expire_worker(queue, "w2")
    assert not refused(queue, "xlarge")
