"""Leases: the dead are noticed, the living are not taken for dead, and no task is lost with its worker."""

from __future__ import annotations

from spaces.farm.events import Cancelled, Lost, Said
from spaces.farm.queue.leases import CLIENT_GONE
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.task import State

from .support import SIZES, claimed, expire_client, expire_worker, pushed, said, state_of


def away(queue: Queue, seconds: float) -> None:
    """Pretend that no process has sent a beat for so long."""
    now, _ = queue.redis.time()
    queue.redis.set(queue.keys.last_beat(), now - seconds, ex=3600)


def test_a_beat_extends_the_lease_and_stores_what_the_worker_tells(queue: Queue) -> None:
    assert not queue.leases.beat("w1", {"device": "cpu", "warm": ["digits"]}).had_lease
    assert queue.leases.beat("w1", {"device": "cpu", "warm": ["digits"]}).had_lease
    assert queue.leases.workers() == {"w1": {"device": "cpu", "warm": ["digits"]}}
    now, _ = queue.redis.time()
    expiry = queue.redis.zscore(queue.keys.workers(), "w1") or 0.0
    assert 4 < expiry - now < 7


def test_what_a_worker_tells_is_gone_with_its_lease(queue: Queue) -> None:
    queue.leases.beat("w1", {})
    assert 0 < queue.redis.pttl(queue.keys.worker("w1")) <= 5000
    queue.redis.delete(queue.keys.worker("w1"))
    assert queue.leases.workers() == {}


def test_the_tasks_of_a_dead_worker_go_back_to_their_old_places(queue: Queue) -> None:
    task = pushed(queue, estimate=1.0)
    score = queue.redis.zscore(queue.keys.queue("large"), task.id)
    claimed(queue, "w1")
    pushed(queue, estimate=2.0)
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert queue.redis.zscore(queue.keys.queue("large"), task.id) == score
    assert queue.position(task.id) == 0
    assert queue.redis.zscore(queue.keys.workers(), "w1") is None
    assert queue.redis.exists(queue.keys.held("w1")) == 0
    assert claimed(queue, "w2").lease.attempt == 2


def test_where_no_worker_is_left_a_client_takes_over_from_the_dead(queue: Queue) -> None:
    """Otherwise a task whose worker died would count as running until a worker comes, and its visitor would wait."""
    task = pushed(queue, client="web-1")
    claimed(queue, "w1")
    expire_worker(queue, "w1")
    queue.leases.client_beat("web-1")
    assert state_of(queue, task) is State.QUEUED
    assert queue.position(task.id) == 0


def test_a_worker_that_was_taken_for_dead_hears_so_at_its_next_beat(queue: Queue) -> None:
    queue.leases.beat("w1")
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert not queue.leases.beat("w1").had_lease


def test_a_worker_does_not_take_itself_for_dead(queue: Queue) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    expire_worker(queue, "w1")
    assert queue.leases.beat("w1").had_lease
    assert state_of(queue, task) is State.RUNNING


def test_a_task_whose_workers_die_too_often_ends_as_lost(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    for worker in ("w1", "w2", "w3"):
        assert state_of(queue, task) is State.QUEUED
        lease = claimed(queue, worker).lease
        expire_worker(queue, worker)
        queue.leases.beat("other")
    assert state_of(queue, task) is State.LOST
    assert said(queue, task.id)[-1] == Lost(3)
    assert queue.depth("large") == 0
    assert not queue.end(lease, Cancelled("too late"))
    assert queue.redis.exists(queue.keys.client("web-1")) == 0


def test_how_often_is_a_rule(queue: Queue) -> None:
    strict = Queue(queue.redis, rules=Rules(attempts=1))
    task = pushed(queue)
    claimed(queue, "w1")
    expire_worker(queue, "w1")
    strict.leases.beat("w2")
    assert said(queue, task.id)[-1] == Lost(1)


def test_after_an_absence_of_the_broker_everyone_gets_one_fresh_lease(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    claimed(queue, "w1")
    queue.leases.client_beat("web-1")
    expire_worker(queue, "w1")
    expire_client(queue, "web-1")
    away(queue, 8.0)
    queue.leases.beat("w2")
    assert state_of(queue, task) is State.RUNNING
    assert queue.leases.beat("w1").had_lease
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert state_of(queue, task) is State.QUEUED


def test_a_client_that_beats_first_after_an_absence_saves_the_workers_too(queue: Queue) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    expire_worker(queue, "w1")
    away(queue, 8.0)
    queue.leases.client_beat("web-1")
    queue.leases.beat("w2")
    assert state_of(queue, task) is State.RUNNING


def test_a_short_silence_is_no_absence(queue: Queue) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    expire_worker(queue, "w1")
    away(queue, 1.0)
    queue.leases.beat("w2")
    assert state_of(queue, task) is State.QUEUED


def test_a_worker_that_leaves_gives_back_what_it_holds(queue: Queue) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    queue.leases.beat("w1")
    assert queue.leases.leave("w1") == 1
    assert state_of(queue, task) is State.QUEUED
    assert queue.leases.workers() == {}
    assert queue.redis.zcard(queue.keys.workers()) == 0
    assert queue.leases.leave("w1") == 0


def test_a_dead_clients_waiting_task_is_removed_and_its_running_one_is_stopped(queue: Queue) -> None:
    running = pushed(queue, client="web-1", estimate=1.0)
    waiting = pushed(queue, client="web-1", estimate=2.0)
    others = pushed(queue, client="web-2", estimate=3.0)
    claimed(queue, "w1")
    expire_client(queue, "web-1")
    beat = queue.leases.beat("w1")
    assert beat.cancelled == {running.id: CLIENT_GONE}
    assert [state_of(queue, task) for task in (running, waiting, others)] == [
        State.RUNNING,
        State.CANCELLED,
        State.QUEUED,
    ]
    assert said(queue, waiting.id)[-1] == Cancelled(CLIENT_GONE)
    assert queue.redis.zscore(queue.keys.clients(), "web-1") is None
    assert queue.redis.exists(queue.keys.client("web-1")) == 0


def test_a_client_that_beats_keeps_its_tasks(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    expire_client(queue, "web-1")
    queue.leases.client_beat("web-1")
    queue.leases.beat("w1")
    assert state_of(queue, task) is State.QUEUED


def test_a_client_that_leaves_takes_its_tasks_with_it(queue: Queue) -> None:
    running, waiting = pushed(queue, client="web-1", estimate=1.0), pushed(queue, client="web-1", estimate=2.0)
    lease = claimed(queue, "w1").lease
    assert queue.leases.client_leave("web-1") == 2
    assert state_of(queue, waiting) is State.CANCELLED
    assert queue.leases.beat("w1").cancelled == {running.id: CLIENT_GONE}
    queue.append(lease, [Said("still allowed to say its last words")])
    assert queue.redis.zscore(queue.keys.clients(), "web-1") is None


def test_a_client_is_known_to_be_alive_while_it_beats(queue: Queue) -> None:
    assert not queue.leases.has_client("web-1")
    queue.leases.client_beat("web-1")
    assert queue.leases.has_client("web-1")
    expire_client(queue, "web-1")
    assert not queue.leases.has_client("web-1")


def test_tasks_of_a_page_that_died_with_its_farm_never_run_when_the_farm_starts_again(queue: Queue) -> None:
    """They ran for the 15 s of a fresh lease, and their visitors, who were gone, were charged."""
    running, waiting = (pushed(queue, client="web-1", estimate=seconds) for seconds in (1.0, 2.0))
    of_program = pushed(queue, estimate=3.0)
    claimed(queue, "w1")
    queue.leases.client_beat("web-1")
    expire_worker(queue, "w1")
    expire_client(queue, "web-1")
    away(queue, 60.0)
    queue.leases.beat("w2")
    assert claimed(queue, "w2").lease.task.id == of_program.id
    assert queue.claim("w2", SIZES) is None
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert state_of(queue, running) is State.QUEUED
    assert queue.claim("w2", SIZES) is None
    expire_client(queue, "web-1")
    queue.leases.beat("w2")
    assert [state_of(queue, task) for task in (running, waiting)] == [State.CANCELLED] * 2
    assert queue.redis.exists(queue.keys.doubted(), queue.keys.arrivals()) == 0


def test_a_page_that_comes_back_after_an_absence_of_the_broker_finds_its_tasks_in_their_places(queue: Queue) -> None:
    first, second = (pushed(queue, client="web-1", estimate=seconds) for seconds in (1.0, 3.0))
    other = pushed(queue, client="web-2", estimate=2.0)
    for client in ("web-1", "web-2"):
        queue.leases.client_beat(client)
    away(queue, 60.0)
    queue.leases.beat("w1")
    assert queue.claim("w1", SIZES) is None
    for client in ("web-1", "web-2"):
        queue.leases.client_beat(client)
    assert [claimed(queue, "w1").lease.task.id for _ in range(3)] == [first.id, other.id, second.id]


def test_a_running_task_whose_page_and_worker_come_back_goes_on(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    lease = claimed(queue, "w1").lease
    away(queue, 60.0)
    queue.leases.beat("w1")
    queue.leases.client_beat("web-1")
    assert state_of(queue, task) is State.RUNNING
    assert queue.end(lease, Cancelled("by hand"))
