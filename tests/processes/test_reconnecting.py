"""A worker runs one task at a time, also if its connections to the broker break meanwhile."""

from __future__ import annotations

from spaces.web.handle import TaskHandle
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until


def test_a_worker_that_connects_again_while_it_makes_a_child_takes_no_second_task(own_farm: Farm) -> None:
    """Celery counts a task only from its start, and so the worker ran two at once."""

    def time_of(what: str, handle: TaskHandle) -> float:
        return float(own_farm.redis.hget(own_farm.queue.keys.task(handle.id), what) or 0)

    own_farm.start_worker()
    with own_farm.client() as client:
        first = client.submit("faults", "nap", 10)
        wait_until(lambda: first.state == "running")
        own_farm.restart_broker()
        second = client.submit("faults", "add", 1, 1)
        assert (second.result(timeout=PATIENCE), first.state) == (2, "succeeded")
        assert time_of("started_at", second) >= time_of("ended_at", first)
