"""A running task: its events, its only end, and no writes once the lease is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.farm.events import Cancelled, CrashCause, Crashed, Event, Failed, Said, Started, Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Ended, LeaseLost, Queue
from spaces.farm.task import Lease, State

from .support import claimed, events_of, expire_worker, pushed, said, state_of

NOT_MADE = Crashed("could not be made", cause=CrashCause.FARM)
RESULT = Succeeded(Payload(b"result"), 1.5)


def lost_lease(queue: Queue) -> Lease:
    """A lease that w1 held until it was taken for dead; the task is run by w2 now."""
    pushed(queue)
    lease = claimed(queue, "w1").lease
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert claimed(queue, "w2").lease == Lease(lease.task, "w2", 2)
    return lease


def test_events_are_appended_in_order_with_the_attempt_that_said_them(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    first: list[Event] = [Started("w1", "cpu"), Said("hello")]
    assert queue.append(lease, first) == 0
    assert queue.append(lease, [Yielded(Payload(b"1"))]) == 0
    assert events_of(queue, lease.task.id) == [(1, event) for event in [*first, Yielded(Payload(b"1"))]]
    assert queue.redis.ttl(queue.keys.events(lease.task.id)) > queue.rules.limits.outcome_lifetime


def test_an_outcome_can_be_read_for_as_long_as_the_operator_says(queue: Queue) -> None:
    """It was an hour, regardless of the rules."""
    limits = replace(queue.rules.limits, outcome_lifetime=60)
    brief = Queue(queue.redis, rules=replace(queue.rules, limits=limits))
    task = pushed(brief)
    assert brief.end(claimed(brief).lease, RESULT)
    for key in (queue.keys.task(task.id), queue.keys.events(task.id)):
        assert 0 < queue.redis.ttl(key) <= 60


def test_an_append_brings_back_the_credits_of_the_reader_once(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    queue.redis.lpush(queue.keys.credit(lease.task.id), "1", "1", "1")
    assert queue.append(lease, [Said("a")]) == 3
    assert queue.append(lease, [Said("b")]) == 0


def test_a_batch_that_is_sent_again_is_written_once(queue: Queue) -> None:
    """A writer that lost the connection before it had the answer sends its batch again."""
    pushed(queue)
    lease = claimed(queue).lease
    queue.append(lease, [Said("a")], batch=1)
    queue.append(lease, [Said("a")], batch=1)
    queue.append(lease, [Said("b")], batch=2)
    assert [event for _, event in events_of(queue, lease.task.id)] == [Said("a"), Said("b")]


def test_the_batches_of_a_new_attempt_count_from_one_again(queue: Queue) -> None:
    pushed(queue)
    queue.append(claimed(queue).lease, [Said("a")], batch=5)
    queue.leases.leave("w1")
    lease = claimed(queue, "w2").lease
    queue.append(lease, [Said("b")], batch=1)
    assert events_of(queue, lease.task.id) == [(1, Said("a")), (2, Said("b"))]


def test_a_stream_is_bounded(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    for _ in range(12):
        queue.append(lease, [Said("x")] * 1000)
    assert 10_000 <= queue.redis.xlen(queue.keys.events(lease.task.id)) < 10_200


def test_the_end_is_the_last_event_and_leaves_only_what_may_be_read_for_a_while(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    lease = claimed(queue).lease
    assert queue.end(lease, RESULT)
    state = queue.state(task.id)
    assert state is not None
    assert (state.state, state.worker, state.attempt) == (State.SUCCEEDED, "w1", 1)
    assert state.ended_at is not None
    assert events_of(queue, lease.task.id) == [(1, RESULT)]
    for key in (queue.keys.task(task.id), queue.keys.events(task.id)):
        kept = queue.rules.limits.outcome_lifetime
        assert kept - 5 <= queue.redis.ttl(key) <= kept
    assert not queue.redis.hmget(queue.keys.task(task.id), "task", "message")[0]
    assert queue.redis.exists(queue.keys.held("w1"), queue.keys.client("web-1")) == 0


def test_a_task_ends_once_however_often_it_is_ended(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    assert queue.end(lease, RESULT)
    assert queue.end(lease, RESULT)
    assert queue.end(lease, Cancelled("too late"))
    assert events_of(queue, lease.task.id) == [(1, RESULT)]
    assert state_of(queue, lease.task) is State.SUCCEEDED


def test_nothing_is_written_by_a_worker_that_lost_its_lease(queue: Queue) -> None:
    lease = lost_lease(queue)
    before = queue.redis.hgetall(queue.keys.task(lease.task.id))
    with pytest.raises(LeaseLost, match=r"no longer held by w1, attempt 1"):
        queue.append(lease, [Said("too late")])
    assert not queue.end(lease, RESULT)
    assert not queue.release(lease)
    assert queue.redis.hgetall(queue.keys.task(lease.task.id)) == before
    assert events_of(queue, lease.task.id) == []


def test_an_older_attempt_of_the_same_worker_is_fenced_off_too(queue: Queue) -> None:
    pushed(queue)
    old = claimed(queue, "w1").lease
    queue.release(old)
    new = claimed(queue, "w1").lease
    assert not queue.end(old, Failed("E", "old", ""))
    assert queue.end(new, RESULT)
    assert not queue.end(old, Failed("E", "old", ""))


def test_nothing_is_written_after_the_end(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    queue.end(lease, RESULT)
    with pytest.raises(LeaseLost):
        queue.append(lease, [Said("too late")])
    assert not queue.release(lease)


def test_a_task_that_is_unknown_is_not_ended(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    queue.redis.flushall()
    assert not queue.end(lease, RESULT)
    assert queue.redis.dbsize() == 0


def test_a_released_task_stands_in_its_old_place(queue: Queue) -> None:
    task = pushed(queue, estimate=1.0)
    score = queue.redis.zscore(queue.keys.queue("large"), task.id)
    lease = claimed(queue).lease
    pushed(queue, estimate=2.0)
    queue.redis.delete(queue.keys.bell("large"))
    assert queue.release(lease)
    state = queue.state(task.id)
    assert state is not None
    assert (state.state, state.position, state.worker, state.started_at) == (State.QUEUED, 0, "", None)
    assert queue.redis.zscore(queue.keys.queue("large"), task.id) == score
    assert queue.redis.zscore(queue.keys.waiting("large", "digits"), task.id) == score
    assert queue.redis.exists(queue.keys.held("w1")) == 0
    assert queue.redis.llen(queue.keys.bell("large")) == 1


def test_a_release_does_not_count_as_a_death(queue: Queue) -> None:
    task = pushed(queue)
    for _ in range(10):
        assert queue.release(claimed(queue).lease)
    assert state_of(queue, task) is State.QUEUED


def test_a_task_that_could_not_begin_is_tried_again_until_no_attempt_is_left(queue: Queue) -> None:
    pushed(queue, estimate=1.0)
    pushed(queue, estimate=2.0)
    for _ in range(queue.rules.attempts - 1):
        assert queue.retry(claimed(queue).lease, NOT_MADE) is Ended.WAITS
    lease = claimed(queue).lease
    assert queue.retry(lease, NOT_MADE) is Ended.READ
    assert queue.retry(lease, NOT_MADE) is Ended.READ
    assert state_of(queue, lease.task) is State.CRASHED
    assert said(queue, lease.task.id) == [NOT_MADE]
    assert not queue.redis.exists(queue.keys.held("w1"))


def test_deaths_of_workers_and_failures_to_begin_count_together(queue: Queue) -> None:
    task = pushed(queue)
    for number in range(queue.rules.attempts - 1):
        claimed(queue, f"w{number}")
        expire_worker(queue, f"w{number}")
        queue.leases.beat("observer")
    assert queue.retry(claimed(queue).lease, NOT_MADE) is Ended.READ
    assert state_of(queue, task) is State.CRASHED


def test_a_retry_that_is_sent_again_counts_once(queue: Queue) -> None:
    """A worker that lost the connection before it had the answer asks again."""
    pushed(queue)
    lease = claimed(queue).lease
    for _ in range(queue.rules.attempts + 1):
        assert queue.retry(lease, NOT_MADE) is Ended.WAITS
    assert state_of(queue, lease.task) is State.QUEUED


def test_a_retry_without_a_lease_changes_nothing(queue: Queue) -> None:
    lease = lost_lease(queue)
    assert queue.retry(lease, NOT_MADE) is Ended.NOT
    assert state_of(queue, lease.task) is State.RUNNING


def test_a_cancelled_task_is_not_tried_again(queue: Queue) -> None:
    task = pushed(queue)
    lease = claimed(queue).lease
    queue.cancel(task.id, "changed my mind")
    assert queue.retry(lease, NOT_MADE) is Ended.READ
    assert said(queue, task.id) == [Cancelled("changed my mind")]
