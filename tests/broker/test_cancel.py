"""Cancelling a task in any state: it ends once, and its worker is told at once."""

from __future__ import annotations

import pytest
from redis.client import PubSub

from spaces.farm.events import Cancelled, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.task import State
from tests.waiting import PATIENCE

from .support import claimed, expire_worker, pushed, said, state_of


def test_a_waiting_task_is_removed_at_once(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    assert queue.cancel(task.id, "the visitor left") is CancelOutcome.REMOVED
    state = queue.state(task.id)
    assert state is not None
    assert (state.state, state.position, state.attempt) == (State.CANCELLED, None, 0)
    assert (queue.depth("large"), queue.waiting("digits")) == (0, 0)
    assert said(queue, task.id) == [Cancelled("the visitor left")]
    assert queue.redis.exists(queue.keys.client("web-1")) == 0
    kept = queue.rules.limits.outcome_lifetime
    assert kept - 5 <= queue.redis.ttl(queue.keys.task(task.id)) <= kept
    assert queue.claim("w1", ["large"]) is None


def test_the_worker_of_a_running_task_is_told_at_once_and_again_at_its_beat(queue: Queue) -> None:
    task = pushed(queue)
    lease = claimed(queue, "w1").lease
    with PubSub(queue.redis.connection_pool, ignore_subscribe_messages=True) as words:
        words.subscribe(queue.keys.cancellations("w1"))
        words.get_message(timeout=PATIENCE)  # subscribed
        assert queue.cancel(task.id, "the visitor left") is CancelOutcome.TOLD
        word = words.get_message(timeout=PATIENCE)
    assert word is not None
    assert word["data"] == f"{task.id} the visitor left".encode()
    assert queue.leases.beat("w1").cancelled == {task.id: "the visitor left"}
    assert queue.leases.beat("w2").cancelled == {}
    assert state_of(queue, task) is State.RUNNING
    assert queue.end(lease, Cancelled("the visitor left"))
    assert queue.leases.beat("w1").cancelled == {}


def test_the_first_reason_stands(queue: Queue) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    queue.cancel(task.id, "first")
    queue.cancel(task.id, "second")
    assert queue.leases.beat("w1").cancelled == {task.id: "first"}


def test_a_task_that_ends_before_it_is_stopped_has_ended_as_it_did(queue: Queue) -> None:
    task = pushed(queue)
    lease = claimed(queue, "w1").lease
    queue.cancel(task.id, "the visitor left")
    assert queue.end(lease, Succeeded(Payload(b"")))
    assert said(queue, task.id) == [Succeeded(Payload(b""))]


def test_nothing_happens_to_a_task_that_has_ended(queue: Queue) -> None:
    task = pushed(queue)
    queue.end(claimed(queue).lease, Succeeded(Payload(b"")))
    assert queue.cancel(task.id, "too late") is CancelOutcome.ENDED
    assert said(queue, task.id) == [Succeeded(Payload(b""))]


def test_an_unknown_task_is_unknown(queue: Queue) -> None:
    assert queue.cancel("nobody", "why") is CancelOutcome.UNKNOWN
    assert queue.redis.dbsize() == 0


@pytest.mark.parametrize("how", ["release", "leave", "death"])
def test_a_cancelled_task_that_its_worker_gives_back_ends_instead_of_waiting_again(queue: Queue, how: str) -> None:
    task = pushed(queue)
    lease = claimed(queue, "w1").lease
    queue.cancel(task.id, "the visitor left")
    match how:
        case "release":
            queue.release(lease)
        case "leave":
            queue.leases.leave("w1")
        case "death":
            expire_worker(queue, "w1")
            queue.leases.beat("w2")
    assert state_of(queue, task) is State.CANCELLED
    assert said(queue, task.id) == [Cancelled("the visitor left")]
    assert queue.depth("large") == 0
    assert not queue.end(lease, Succeeded(Payload(b"")))


def test_a_cancelled_task_whose_last_worker_dies_was_cancelled_and_not_lost(queue: Queue) -> None:
    task = pushed(queue)
    claimed(queue, "w1")
    queue.cancel(task.id, "the visitor left")
    expire_worker(queue, "w1")
    Queue(queue.redis, rules=Rules(attempts=1)).leases.beat("w2")
    assert said(queue, task.id) == [Cancelled("the visitor left")]
