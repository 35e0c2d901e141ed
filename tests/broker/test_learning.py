"""Estimates are learned from what tasks took, in the broker, and rank the tasks that come after."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spaces.farm.events import Cancelled, Crashed, End, Failed, Succeeded, TimedOut
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue import estimates
from spaces.farm.queue.estimates import EstimateRules, Learned, handicap
from spaces.farm.queue.keys import LEARNED
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.task import FunctionName, Task

from .support import MESSAGE, claimed, make_task, pushed


def took(seconds: float) -> Succeeded:
    return Succeeded(Payload(b""), seconds)


def estimate_used(queue: Queue, task: Task, end: End) -> float:
    """Push a task, run it to this end, and return the estimate that the broker ranked it by, which is the rule's."""
    expected = queue.estimate(task)
    assert queue.push(task, MESSAGE)
    used = float(queue.redis.hget(queue.keys.task(task.id), "estimate") or 0)
    assert used == pytest.approx(expected, rel=1e-12)
    assert queue.end(claimed(queue).lease, end)
    return used


def learned(queue: Queue, space: str = "digits") -> list[Learned]:
    stored = cast(list[bytes], queue.redis.hvals(queue.keys.learned(space)))
    return [Learned.unpack(each.decode()) for each in stored]


def test_a_function_that_declares_60_s_and_takes_2_is_soon_ranked_as_2(queue: Queue) -> None:
    found = [estimate_used(queue, make_task(estimate=60.0), took(2.0)) for _ in range(21)]
    assert found[0] == 60.0
    assert found[1] == pytest.approx(10.95, abs=0.01)
    assert found[20] == pytest.approx(2.35, abs=0.01)
    assert found == sorted(found, reverse=True)


def test_what_was_learned_decides_the_place_and_not_the_time_limit(queue: Queue) -> None:
    for _ in range(5):
        estimate_used(queue, make_task(estimate=60.0), took(2.0))
    other = pushed(queue, space="names", estimate=10.0)
    known = pushed(queue, space="digits", estimate=60.0)
    assert (queue.position(known.id), queue.position(other.id)) == (0, 1)
    assert claimed(queue).lease.task.time_limit == 60.0


def test_functions_and_durations_learn_apart(queue: Queue) -> None:
    task = make_task(estimate=60.0)
    estimate_used(queue, task, took(2.0))
    unknown = [
        replace(make_task(estimate=60.0), function=FunctionName("__main__", "other")),
        replace(make_task(estimate=120.0), time_limit=120.0),
        make_task("names", estimate=60.0),
    ]
    assert [queue.estimate(each) for each in unknown] == [60.0, 120.0, 60.0]
    assert queue.estimate(make_task(estimate=60.0)) < 60.0


@pytest.mark.parametrize(
    ("end", "teaches"),
    [
        (took(3.0), True),
        (TimedOut(60.2, 60.0), True),
        (Failed("E", "early", "", seconds=3.0), False),
        (Crashed("was killed by SIGKILL", 3.0), False),
        (Cancelled("the visitor left"), False),
        (took(0.0), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_a_run_that_used_its_gpu_to_the_end_teaches(queue: Queue, end: End, teaches: bool) -> None:
    estimate_used(queue, make_task(), end)
    assert bool(learned(queue)) == teaches


def test_a_run_is_learned_once_however_often_its_end_is_sent(queue: Queue) -> None:
    pushed(queue)
    lease = claimed(queue).lease
    for _ in range(3):
        assert queue.end(lease, took(3.0))
    assert learned(queue) == [Learned(1, 3.0)]


def test_what_a_space_has_taught_is_forgotten_after_a_month(queue: Queue) -> None:
    estimate_used(queue, make_task(), took(3.0))
    assert LEARNED - 5 <= queue.redis.ttl(queue.keys.learned("digits")) <= LEARNED


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(runs=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8), memory=st.integers(1, 5))
def test_the_broker_learns_exactly_as_the_rule_says(queue: Queue, runs: list[float], memory: int) -> None:
    queue.redis.flushall()
    rules = EstimateRules(memory=memory)
    known = Learned()
    for seconds in runs:
        estimate_used(Queue(queue.redis, rules=Rules(rules)), make_task(), took(seconds))
        known = estimates.update(known, seconds, rules)
    assert learned(queue) == [known]


@pytest.mark.parametrize("gpus", [0, 1, 4])
@pytest.mark.parametrize("estimate", [0.2, 30.0, 1000.0])
def test_the_score_has_the_handicap_of_the_estimate_on_so_many_gpus(queue: Queue, gpus: int, estimate: float) -> None:
    for number in range(gpus):
        queue.leases.beat(f"w{number}", {"sizes": ["large"]})
    rules = EstimateRules(weight=120.0, floor=1.0, cap=120.0)
    ranked = Queue(queue.redis, rules=Rules(rules))
    task = pushed(ranked, estimate=estimate)
    state = queue.state(task.id)
    assert state is not None
    score = queue.redis.zscore(queue.keys.queue("large"), task.id)
    assert score == state.enqueued_at + handicap(estimate, max(gpus, 1), rules)
