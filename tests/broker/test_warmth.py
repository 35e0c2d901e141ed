"""Warmth: a claim weighs how soon its worker could begin a task, and idle workers leave tasks to warmer ones."""

from __future__ import annotations

import pytest

from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import INDIFFERENT, MOST_KNOWN, Warmth
from spaces.farm.task import Task
from tests.waiting import wait_until

from .support import SIZES, expire_worker, pushed, state_of

HOLD = 0.2
WARM = Warmth({"chat": 0.0}, unseen=5.0)
READY = Warmth({"chat": 1.0}, unseen=5.0)
COLD = Warmth({}, unseen=5.0)


def taken(queue: Queue, warmth: Warmth, worker: str = "w1", sizes: tuple[str, ...] = SIZES, hold: float = 0.0) -> Task:
    found = queue.claim(worker, sizes, warmth, hold=hold)
    assert found is not None
    return found.lease.task


def rest(queue: Queue, worker: str, warmth: Warmth, sizes: tuple[str, ...] = SIZES) -> None:
    """The worker looks for a task in vain and waits for its bells from now on."""
    assert queue.claim(worker, sizes, warmth, hold=HOLD) is None


def was_called(queue: Queue, worker: str) -> bool:
    return queue.redis.llen(queue.keys.call(worker)) == 1


# --- the choice


def test_the_lowest_sum_of_score_and_seconds_is_taken(queue: Queue) -> None:
    warmth = Warmth({"child": 0.0, "zygote": 2.0}, unseen=10.0)
    unseen = pushed(queue, space="unseen", estimate=1.0)
    zygote = pushed(queue, space="zygote", estimate=10.0)
    child = pushed(queue, space="child", estimate=11.5)
    assert [taken(queue, warmth) for _ in range(3)] == [unseen, child, zygote]


def test_a_space_that_costs_more_than_one_never_seen_counts_as_never_seen(queue: Queue) -> None:
    dear = pushed(queue, space="dear", estimate=1.0)
    other = pushed(queue, space="other", estimate=2.0)
    assert [taken(queue, Warmth({"dear": 60.0}, unseen=5.0)) for _ in range(2)] == [dear, other]


def test_only_the_warmest_spaces_are_looked_at(queue: Queue) -> None:
    many = {f"space-{number:02}": float(number) for number in range(MOST_KNOWN + 1)}
    cold = pushed(queue, space="cold", estimate=1.0)
    last = pushed(queue, space=f"space-{MOST_KNOWN:02}", estimate=2.0)
    first = pushed(queue, space="space-00", estimate=3.0)
    assert [taken(queue, Warmth(many, unseen=100.0)) for _ in range(3)] == [first, cold, last]


def test_a_warm_space_is_found_in_every_size_that_the_worker_serves(queue: Queue) -> None:
    pushed(queue, space="digits", size="large", estimate=1.0)
    pushed(queue, space="digits", size="xlarge", estimate=1.0)
    large = pushed(queue, space="chat", size="large", estimate=4.0)
    xlarge = pushed(queue, space="chat", size="xlarge", estimate=3.0)
    assert [taken(queue, WARM) for _ in range(2)] == [xlarge, large]


def test_a_warm_space_is_not_taken_from_a_size_that_the_worker_does_not_serve(queue: Queue) -> None:
    cold = pushed(queue, space="digits", size="large", estimate=10.0)
    pushed(queue, space="chat", size="xlarge", estimate=1.0)
    assert taken(queue, WARM, sizes=("large",)) == cold
    assert queue.claim("w1", ["large"], WARM) is None


@pytest.mark.parametrize("seconds", [1.0, 5.0, 20.0])
def test_under_full_warm_load_a_cold_task_waits_at_most_its_own_seconds_longer(queue: Queue, seconds: float) -> None:
    """Warm tasks arrive twice a second for ever, each as soon as the one before it ends."""
    cold = pushed(queue, space="digits", estimate=0.0)
    for number in range(60):
        pushed(queue, space="chat", estimate=number / 2)
    warmth = Warmth({"chat": 0.0}, unseen=seconds)
    waited = 0.0
    while taken(queue, warmth) != cold:
        waited += 0.5
    assert seconds - 1 <= waited <= seconds + 0.5


# --- leaving a task to an idle worker


def test_an_idle_worker_leaves_a_young_task_to_an_idle_one_that_is_warm_and_calls_it(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    task = pushed(queue, space="chat")
    assert queue.claim("cold", SIZES, COLD, hold=HOLD) is None
    assert was_called(queue, "warm")
    assert taken(queue, WARM, "warm", hold=HOLD) == task
    assert not was_called(queue, "warm")


def test_when_the_moment_is_over_the_cold_worker_takes_it(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    task = pushed(queue, space="chat")
    wait_until(lambda: queue.claim("cold", SIZES, COLD, hold=HOLD))
    state = queue.state(task.id)
    assert state is not None
    assert state.started_at is not None
    assert state.worker == "cold"
    assert HOLD <= state.started_at - state.enqueued_at < HOLD + 1


def test_the_moment_is_no_longer_than_what_the_warm_worker_would_save(queue: Queue) -> None:
    rest(queue, "warm", Warmth({"chat": 0.97}, unseen=5.0))
    task = pushed(queue, space="chat")
    wait_until(lambda: queue.claim("ready", SIZES, READY, hold=10.0))
    state = queue.state(task.id)
    assert state is not None
    assert state.started_at is not None
    assert 0.03 <= state.started_at - state.enqueued_at < 1


def test_a_task_that_no_idle_worker_would_begin_sooner_is_taken_at_once(queue: Queue) -> None:
    rest(queue, "other", READY)
    task = pushed(queue, space="chat")
    assert taken(queue, READY, hold=HOLD) == task


def test_a_warm_worker_that_is_busy_is_not_waited_for(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    pushed(queue, space="chat")
    taken(queue, WARM, "warm", hold=HOLD)
    second = pushed(queue, space="chat")
    assert taken(queue, COLD, hold=HOLD) == second


def test_an_idle_warm_worker_is_left_one_task_and_not_all(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    first, second = (pushed(queue, space="chat", estimate=seconds) for seconds in (1.0, 2.0))
    assert taken(queue, COLD, hold=HOLD) == second
    assert taken(queue, WARM, "warm", hold=HOLD) == first


def test_behind_a_task_that_is_left_the_next_one_is_taken(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    pushed(queue, space="chat", estimate=1.0)
    cold = pushed(queue, space="digits", estimate=2.0)
    assert taken(queue, COLD, hold=HOLD) == cold
    assert was_called(queue, "warm")


def test_of_several_idle_workers_the_warmest_is_called(queue: Queue) -> None:
    rest(queue, "ready", READY)
    rest(queue, "warm", WARM)
    pushed(queue, space="chat")
    assert queue.claim("cold", SIZES, COLD, hold=HOLD) is None
    assert was_called(queue, "warm")
    assert not was_called(queue, "ready")


def test_a_warm_worker_that_serves_another_size_is_not_waited_for(queue: Queue) -> None:
    rest(queue, "warm", WARM, sizes=("large",))
    task = pushed(queue, space="chat", size="xlarge")
    assert taken(queue, COLD, hold=HOLD) == task


def test_the_word_of_an_idle_worker_goes_stale(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    queue.redis.zadd(queue.keys.idle("large"), {"warm": 1.0})
    task = pushed(queue, space="chat")
    assert taken(queue, COLD, hold=HOLD) == task
    rest(queue, "cold", COLD)
    assert queue.redis.zrange(queue.keys.idle("large"), 0, -1) == [b"cold"]


def test_a_task_that_its_worker_died_with_is_not_left_again(queue: Queue) -> None:
    task = pushed(queue, space="chat")
    taken(queue, COLD, "dead")
    queue.redis.hset(queue.keys.task(task.id), "enqueued_at", 1.0)
    rest(queue, "warm", WARM)
    expire_worker(queue, "dead")
    queue.leases.beat("warm")
    assert taken(queue, COLD, hold=HOLD) == task


def test_who_does_not_wait_for_bells_leaves_nothing_and_is_not_waited_for(queue: Queue) -> None:
    assert queue.claim("warm", SIZES, WARM) is None
    first = pushed(queue, space="chat")
    assert taken(queue, COLD, hold=HOLD) == first
    rest(queue, "warm", WARM)
    second = pushed(queue, space="chat")
    assert taken(queue, INDIFFERENT) == second
    assert state_of(queue, second) == "running"


def test_a_called_worker_that_was_called_before_has_one_token(queue: Queue) -> None:
    rest(queue, "warm", WARM)
    pushed(queue, space="chat")
    for _ in range(3):
        assert queue.claim("cold", SIZES, COLD, hold=10.0) is None
    assert was_called(queue, "warm")
