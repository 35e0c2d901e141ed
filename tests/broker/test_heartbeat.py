"""The threads that keep leases: they survive all errors, receive cancellations at once, and sign off in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from spaces.farm.connection import connect
from spaces.farm.links.client_lease import ClientLease
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.task import State
from spaces_workers.worker.heartbeat import Heartbeat
from tests.waiting import PATIENCE, wait_until

from .support import Server, claimed, expire_worker, pushed, state_of

QUICK = Rules(worker_beat=0.05, worker_lease=0.5, client_beat=0.05, client_lease=0.5)


class Listener:
    """Records the calls of a heartbeat."""

    def __init__(self, url: str, worker: str = "w1") -> None:
        self.cancelled: list[tuple[str, str]] = []
        self.lost = threading.Event()
        self.heartbeat = Heartbeat(
            lambda: Queue(connect(url), rules=QUICK),
            worker,
            info=lambda: {"device": "cpu"},
            on_cancel=lambda task, reason: self.cancelled.append((task, reason)),
            on_lease_lost=self.lost.set,
        )


@pytest.fixture
def listener(queue: Queue, broker_url: str) -> Iterator[Listener]:
    listener = Listener(broker_url)
    listener.heartbeat.start()
    wait_until(lambda: "w1" in queue.leases.workers())
    yield listener
    listener.heartbeat.stop()


def lease_of(queue: Queue, worker: str) -> float:
    return queue.redis.zscore(queue.keys.workers(), worker) or 0.0


def test_a_heartbeat_extends_the_lease_again_and_again(queue: Queue, listener: Listener) -> None:
    wait_until(lambda: queue.leases.workers() == {"w1": {"device": "cpu"}})
    for _ in range(3):
        before = lease_of(queue, "w1")
        wait_until(lambda before=before: lease_of(queue, "w1") > before)  # type: ignore[misc]
    assert not listener.lost.is_set()


def test_who_beats_ends_what_has_waited_too_long(queue: Queue, listener: Listener) -> None:
    task = pushed(queue)
    queue.redis.zadd(queue.keys.arrivals(), {task.id: 1.0})
    wait_until(lambda: state_of(queue, task) is State.CANCELLED)


def test_a_cancellation_is_heard_once_for_each_task(queue: Queue, listener: Listener) -> None:
    task = pushed(queue)
    claimed(Queue(queue.redis, rules=QUICK), "w1")
    wait_until(lambda: queue.redis.pubsub_numsub(queue.keys.cancellations("w1"))[0][1] == 1)
    queue.cancel(task.id, "the visitor left")
    wait_until(lambda: listener.cancelled)
    before = lease_of(queue, "w1")
    wait_until(lambda: lease_of(queue, "w1") > before + 0.2)
    assert listener.cancelled == [(task.id, "the visitor left")]


def test_a_cancellation_whose_word_was_lost_is_heard_at_the_next_beat(queue: Queue, listener: Listener) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    queue.redis.hset(queue.keys.task(task.id), mapping={"cancelled": "an event", "reason": "why"})
    wait_until(lambda: listener.cancelled == [(task.id, "why")])


def test_a_worker_that_was_taken_for_dead_is_told(queue: Queue, listener: Listener) -> None:
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert listener.lost.wait(PATIENCE)


def test_a_heartbeat_that_stops_gives_the_tasks_back_at_once(queue: Queue, broker_url: str) -> None:
    listener = Listener(broker_url, "w7")
    listener.heartbeat.start()
    wait_until(lambda: lease_of(queue, "w7"))
    task = pushed(queue)
    claimed(queue, "w7")
    listener.heartbeat.stop()
    assert state_of(queue, task) is State.QUEUED
    assert queue.leases.workers() == {}


def test_a_heartbeat_goes_on_after_the_broker_was_killed(server: Server) -> None:
    listener = Listener(server.url)
    listener.heartbeat.start()
    with connect(server.url) as redis:
        queue = Queue(redis)
        wait_until(lambda: lease_of(queue, "w1"))
        before = lease_of(queue, "w1")
        server.kill()
        server.start()
        wait_until(lambda: lease_of(queue, "w1") > before + 0.5)
        task = pushed(queue)
        claimed(queue, "w1")
        wait_until(lambda: redis.pubsub_numsub(queue.keys.cancellations("w1"))[0][1] == 1)
        queue.cancel(task.id, "still heard")
        wait_until(lambda: listener.cancelled == [(task.id, "still heard")])
        listener.heartbeat.stop()
    assert not listener.lost.is_set()


def test_a_heartbeat_can_be_stopped_while_the_broker_is_away(server: Server) -> None:
    listener = Listener(server.url)
    listener.heartbeat.start()
    with connect(server.url) as redis:
        wait_until(lambda: lease_of(Queue(redis), "w1"))
    server.kill()
    listener.heartbeat.stop()


def test_a_client_keeps_its_lease_and_gives_it_back(queue: Queue, broker_url: str) -> None:
    lease = ClientLease(lambda: Queue(connect(broker_url), rules=QUICK), "web-1")
    lease.start()

    def expiry() -> float:
        return queue.redis.zscore(queue.keys.clients(), "web-1") or 0.0

    wait_until(expiry)
    before = expiry()
    wait_until(lambda: expiry() > before)
    task = pushed(queue, client="web-1")
    lease.stop()
    assert expiry() == 0.0
    assert state_of(queue, task) is State.CANCELLED
