"""Tasks over a limit are refused or ended, with messages that name the value and the limit, and are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spaces.errors import RefusedError
from spaces.farm.events import Expired
from spaces.farm.payloads.payload import Blob, FileCopy, Payload
from spaces.farm.queue.keys import REFUSED
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.task import State, Task

from .support import MESSAGE, PLAIN, claimed, expire_worker, make_task, pushed, said, state_of


def limited(queue: Queue, **limits: Any) -> Queue:
    return Queue(queue.redis, rules=replace(PLAIN, limits=replace(PLAIN.limits, **limits)))


def arrived_long_ago(queue: Queue, task: Task) -> None:
    queue.redis.zadd(queue.keys.arrivals(), {task.id: 1.0})


def test_a_space_whose_queue_is_full_is_refused_more_and_others_are_not(queue: Queue) -> None:
    strict = limited(queue, space_queue=2)
    pushed(strict)
    pushed(strict, size="xlarge")
    words = r"digits\.generate was not queued: 2 tasks of digits wait, and no more than 2 may\. Try again later"
    with pytest.raises(RefusedError, match=words):
        strict.push(make_task(), MESSAGE)
    pushed(strict, space="names")
    claimed(strict)
    pushed(strict)
    assert strict.refused() == {"space_queue": 1}


def test_a_farm_whose_queue_is_full_refuses_every_space(queue: Queue) -> None:
    strict = limited(queue, farm_queue=1)
    pushed(strict)
    with pytest.raises(RefusedError, match=r"1 tasks wait in this farm, and no more than 1 may\. Try again later"):
        strict.push(make_task("names"), MESSAGE)
    assert strict.refused() == {"farm_queue": 1}


def test_a_task_that_was_accepted_is_not_refused_when_its_push_is_repeated(queue: Queue) -> None:
    strict, task = limited(queue, space_queue=1), make_task()
    assert strict.push(task, MESSAGE)
    assert not strict.push(task, MESSAGE)


@pytest.mark.parametrize(
    "arguments",
    [
        Payload(bytes(1500), (bytes(500), bytes(48))),
        Payload(blob=Blob("memory", "name", "host", 2048)),
        Payload(files=(FileCopy("/a", 2048, 0, Payload(blob=Blob("broker", "name", "", 2048))),)),
    ],
    ids=["inline", "blob", "file"],
)
def test_arguments_that_are_too_large_are_refused_wherever_they_are(queue: Queue, arguments: Payload) -> None:
    task = replace(make_task(), arguments=arguments)
    words = r"digits\.generate was not queued: its arguments have 2 KiB, and no more than 1 KiB may be sent"
    with pytest.raises(RefusedError, match=words):
        limited(queue, payload_bytes=1024).push(task, MESSAGE)
    assert limited(queue, payload_bytes=2048).push(task, MESSAGE)
    assert queue.refused() == {"payload": 1}


def test_what_was_refused_is_nowhere_but_in_the_count(queue: Queue) -> None:
    strict, task = limited(queue, payload_bytes=1), make_task(client="web-1")
    with pytest.raises(RefusedError):
        strict.push(task, MESSAGE)
    assert queue.state(task.id) is None
    assert [key.decode() for key in queue.redis.scan_iter()] == [queue.keys.refused()]
    assert REFUSED - 5 <= queue.redis.ttl(queue.keys.refused()) <= REFUSED


def test_a_task_that_waited_too_long_ends_and_says_so(queue: Queue) -> None:
    strict = limited(queue, longest_wait=3600)
    late, other = pushed(strict), pushed(strict)
    arrived_long_ago(queue, late)
    assert strict.expire() == 1
    assert strict.expire() == 0
    why = "it waited longer than 60 min, and no task may wait longer in this farm"
    assert said(queue, late.id) == [Expired(why)]
    assert (state_of(queue, late), state_of(queue, other)) == (State.CANCELLED, State.QUEUED)
    assert queue.refused() == {"longest_wait": 1}


def test_a_task_that_runs_waits_no_more(queue: Queue) -> None:
    task = pushed(queue)
    arrived_long_ago(queue, task)
    claimed(queue)
    assert queue.expire() == 0
    assert state_of(queue, task) is State.RUNNING


def test_a_task_that_comes_back_from_a_dead_worker_has_waited_since_its_arrival(queue: Queue) -> None:
    task = pushed(queue)
    arrived = queue.redis.zscore(queue.keys.arrivals(), task.id)
    claimed(queue, "w1")
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    assert queue.redis.zscore(queue.keys.arrivals(), task.id) == arrived


def test_a_task_that_outlived_its_lifetime_is_forgotten(queue: Queue) -> None:
    task = pushed(queue)
    arrived_long_ago(queue, task)
    queue.redis.delete(queue.keys.task(task.id))
    assert queue.expire() == 0
    assert queue.redis.zcard(queue.keys.arrivals()) == 0


def test_the_usual_limits_let_a_farm_be_busy() -> None:
    limits = Rules().limits
    assert (limits.space_queue, limits.longest_wait) == (100_000, 12 * 3600)
    assert limits.waited_too_long.startswith("it waited longer than 12 h")
