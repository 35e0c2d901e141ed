"""Where a waiting task stands, and how long it is expected to wait, from a real broker."""

from __future__ import annotations

import pytest

from spaces.farm.queue.outlook import FRESH, HEAD, SAMPLES, Outlook, Place
from spaces.farm.queue.queue import Queue
from tests.waiting import wait_until

from .support import claimed, pushed

WHOLE = {"sizes": ["large", "xlarge"]}


def test_without_a_live_worker_the_place_is_known_and_the_wait_is_not(queue: Queue) -> None:
    tasks = [pushed(queue, estimate=seconds) for seconds in (10.0, 20.0, 30.0)]
    assert [queue.outlook.place(task.id) for task in tasks] == [Place(0, 3, None), Place(1, 3, None), Place(2, 3, None)]


def test_the_wait_is_what_runs_and_what_is_ahead(queue: Queue) -> None:
    queue.leases.beat("w1", WHOLE)
    running = pushed(queue, estimate=40.0)
    claimed(queue, "w1")
    tasks = [pushed(queue, estimate=seconds) for seconds in (10.0, 20.0, 30.0)]
    places = [queue.outlook.place(task.id) for task in tasks]
    assert [place and place.seconds for place in places] == pytest.approx([40.0, 50.0, 70.0], abs=1.0)
    assert queue.outlook.place(running.id) is None
    assert queue.outlook.place("unknown") is None


def test_a_task_that_an_idle_worker_may_take_waits_for_nothing(queue: Queue) -> None:
    queue.leases.beat("w1", WHOLE)
    assert queue.outlook.place(pushed(queue).id) == Place(0, 1, 0.0)


def test_a_long_queue_is_told_by_samples(queue: Queue) -> None:
    queue.leases.beat("w1", WHOLE)
    queue.leases.beat("w2", WHOLE)
    tasks = [pushed(queue, estimate=5.0) for _ in range(1000)]
    assert len(tasks) > HEAD + SAMPLES
    for ahead in (0, 1, 63, 64, 500, 999):
        place = queue.outlook.place(tasks[ahead].id)
        assert place is not None
        assert place.ahead == ahead
        assert place.seconds == pytest.approx(ahead // 2 * 5.0, abs=25.0)
    assert len(queue.redis.get(queue.keys.forecast())) < 8192  # type: ignore[arg-type]  # bytes


def outlook_of(queue: Queue, fresh: float = FRESH) -> Outlook:
    """As another process has it."""
    return Outlook(queue.redis, queue.scripts, queue.keys, fresh)


def test_one_forecast_serves_everybody_for_a_second(queue: Queue) -> None:
    pushed(queue)
    outlook_of(queue).forecast()
    queue.leases.beat("w1", WHOLE)
    assert outlook_of(queue).forecast().of("large").workers == 0
    assert 0 < queue.redis.pttl(queue.keys.forecast()) <= 1000
    queue.redis.delete(queue.keys.forecast())
    assert outlook_of(queue).forecast().of("large").workers == 1


def test_a_forecast_is_made_anew_when_it_is_old(queue: Queue) -> None:
    outlook = outlook_of(queue, fresh=0.01)
    assert outlook.forecast().of("large").workers == 0
    queue.leases.beat("w1", WHOLE)
    wait_until(lambda: outlook.forecast().of("large").workers == 1)


def test_the_forecast_of_another_version_is_not_believed(queue: Queue) -> None:
    queue.redis.set(queue.keys.forecast(), b"\x81\xa1x", ex=5)
    assert outlook_of(queue).forecast().of("large").workers == 0
