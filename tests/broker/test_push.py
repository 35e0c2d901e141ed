"""Pushing: a task is stored, ranked and announced, once."""

from __future__ import annotations

from typing import cast

from spaces.farm import wire
from spaces.farm.queue.estimates import EstimateRules
from spaces.farm.queue.keys import RENEWAL, WAITING
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.size import Size
from spaces.farm.task import State

from .support import MESSAGE, leaked_keys, make_task, pushed, state_of


def test_a_pushed_task_waits_in_its_queue_and_in_its_spaces_part_of_it(queue: Queue) -> None:
    task = make_task(space="digits", size="xlarge")
    assert queue.state(task.id) is None
    assert queue.push(task, MESSAGE)
    state = queue.state(task.id)
    assert state is not None
    assert (state.state, state.position, state.attempt, state.worker) == (State.QUEUED, 0, 0, "")
    assert (state.started_at, state.ended_at) == (None, None)
    assert (queue.depth("xlarge"), queue.depth("large")) == (1, 0)
    assert (queue.waiting("digits"), queue.waiting("names")) == (1, 0)


def test_the_score_is_the_brokers_time_and_the_weighted_estimate(queue: Queue) -> None:
    weighty = Queue(queue.redis, rules=Rules(EstimateRules(weight=2.5)))
    task = pushed(weighty, estimate=40.0)
    state = queue.state(task.id)
    score = queue.redis.zscore(queue.keys.queue("large"), task.id)
    seconds, microseconds = queue.redis.time()
    assert state is not None
    assert score == state.enqueued_at + 100.0
    assert 0 <= seconds + microseconds / 1e6 - state.enqueued_at < 5


def test_a_task_is_stored_whole(queue: Queue) -> None:
    task = pushed(queue)
    stored = cast(dict[bytes, bytes], queue.redis.hgetall(queue.keys.task(task.id)))
    assert wire.unpack(stored[b"task"]) == task
    assert stored[b"message"] == MESSAGE
    assert float(stored[b"time_limit"]) == task.time_limit


def test_a_task_pushed_twice_is_accepted_once(queue: Queue) -> None:
    """A producer that lost the connection before it had the answer sends the message again."""
    task = make_task()
    assert queue.push(task, MESSAGE)
    before = queue.redis.hgetall(queue.keys.task(task.id))
    assert not queue.push(task, MESSAGE)
    assert queue.redis.hgetall(queue.keys.task(task.id)) == before
    assert queue.depth("large") == 1


def test_a_task_that_has_ended_is_not_accepted_again(queue: Queue) -> None:
    task = pushed(queue)
    queue.cancel(task.id, "why not")
    assert not queue.push(task, MESSAGE)
    assert queue.depth("large") == 0


def test_each_push_rings_the_bell_up_to_a_bound(queue: Queue) -> None:
    for _ in range(70):
        pushed(queue)
    assert queue.redis.llen(queue.keys.bell("large")) == 64
    assert queue.redis.llen(queue.keys.bell("xlarge")) == 0


def test_a_task_is_known_as_one_that_its_client_waits_for(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    assert queue.redis.smembers(queue.keys.client("web-1")) == {task.id.encode()}
    assert queue.redis.zscore(queue.keys.clients(), "web-1") is not None


def test_a_push_does_not_shorten_the_lease_of_its_client(queue: Queue) -> None:
    Queue(queue.redis, rules=Rules(client_lease=900.0)).leases.client_beat("web-1")
    lease = queue.redis.zscore(queue.keys.clients(), "web-1")
    pushed(queue, client="web-1")
    assert queue.redis.zscore(queue.keys.clients(), "web-1") == lease


def test_everything_that_waits_has_a_lifetime(queue: Queue) -> None:
    task = pushed(queue, client="web-1")
    keys = queue.keys
    for key in (keys.task(task.id), keys.queue("large"), keys.waiting("large", "digits"), keys.bell("large")):
        assert WAITING - 5 <= queue.redis.ttl(key) <= WAITING


def test_keys_of_all_pushes_outlive_the_last_of_them_by_as_long_as_a_task_may_wait(queue: Queue) -> None:
    """Their lifetime is renewed once an hour, and when they may be new: also if only other sizes were pushed lately."""
    keys = queue.keys
    shared = keys.arrivals(), keys.contenders("large"), keys.contenders("xlarge"), keys.demand()

    def pass_an_hour() -> None:
        soon, later, at = cast(bytes, queue.redis.hget(keys.demand(), "digits")).split()
        queue.redis.hset(keys.demand(), "digits", b"%b %b %f" % (soon, later, float(at) - RENEWAL))
        for key in shared:
            queue.redis.expire(key, WAITING + RENEWAL - 3600)

    for size in ("large", "xlarge"):
        pushed(queue, size=size)
    pass_an_hour()
    pushed(queue, size="large")
    pushed(queue, size="xlarge")
    for key in shared:
        assert queue.redis.ttl(key) > WAITING + RENEWAL - 5
    for key in shared:
        queue.redis.delete(key)
    for size in ("large", "xlarge"):
        pushed(queue, size=size)
        assert all(queue.redis.ttl(key) > WAITING for key in shared if queue.redis.exists(key))


def test_every_key_that_empties_has_a_lifetime_again(queue: Queue) -> None:
    for _ in range(3):
        for task in [pushed(queue), pushed(queue, space="names")]:
            assert leaked_keys(queue) == []
            queue.cancel(task.id, "enough")


def test_the_place_in_the_queue_is_exact(queue: Queue) -> None:
    slow, quick, middle = (pushed(queue, estimate=seconds) for seconds in (300.0, 1.0, 60.0))
    assert [queue.position(task.id) for task in (quick, middle, slow)] == [0, 1, 2]
    assert queue.position("unknown") is None


def test_emptying_a_queue_ends_every_task_in_it(queue: Queue) -> None:
    tasks = [pushed(queue) for _ in range(3)]
    other = pushed(queue, size="xlarge")
    queue.redis.delete(queue.keys.task(tasks[1].id))
    assert queue.purge("large") == 2
    assert (queue.depth("large"), queue.depth("xlarge")) == (0, 1)
    ends = [queue.state(task.id) for task in (tasks[0], tasks[2], other)]
    assert [end and end.state for end in ends] == [State.CANCELLED, State.CANCELLED, State.QUEUED]


def test_a_task_that_was_withdrawn_is_not_accepted_any_more(queue: Queue) -> None:
    task = make_task()
    queue.withdraw(task.id)
    assert not queue.push(task, MESSAGE)
    assert queue.state(task.id) is None


def test_a_task_that_waits_ends_when_it_is_withdrawn(queue: Queue) -> None:
    task = pushed(queue)
    queue.withdraw(task.id)
    assert state_of(queue, task) is State.CANCELLED
    assert queue.depth(Size.LARGE) == 0
