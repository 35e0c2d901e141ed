"""How often each Space is called, as the broker counts it and workers read it."""

from __future__ import annotations

import math
from typing import cast

import pytest

from spaces.farm.demand import LATER, LATER_PART, SOON, SOON_PART, Arrivals, calls_a_second
from spaces.farm.queue.queue import Queue

from .support import MESSAGE, make_task, pushed


def arrivals(queue: Queue, space: str = "digits") -> Arrivals:
    found = cast("bytes | None", queue.redis.hget(queue.keys.demand(), space))
    return Arrivals() if found is None else Arrivals.unpack(found.decode())


def test_the_broker_counts_arrivals_as_the_rule_says(queue: Queue) -> None:
    for _ in range(5):
        before = arrivals(queue)
        pushed(queue)
        after = arrivals(queue)
        expected = before.after_one(after.at)
        assert (after.soon, after.later) == pytest.approx((expected.soon, expected.later))


def test_an_old_arrival_counts_less_and_soon_fades_first(queue: Queue) -> None:
    pushed(queue)
    long_ago = arrivals(queue).at - LATER
    queue.redis.hset(queue.keys.demand(), "digits", f"8 8 {long_ago:.17g}")
    pushed(queue)
    found = arrivals(queue)
    assert (found.soon, found.later) == pytest.approx((1.0, 5.0), rel=1e-3)


def test_spaces_count_apart_and_a_task_that_is_pushed_again_does_not_count(queue: Queue) -> None:
    task = make_task(space="names")
    assert queue.push(task, MESSAGE)
    assert not queue.push(task, MESSAGE)
    for _ in range(3):
        pushed(queue, space="digits")
    rates = calls_a_second(queue.redis, queue.keys.demand())
    assert rates["digits"] == pytest.approx(3 * rates["names"], rel=0.1)


def test_calls_in_a_steady_stream_are_expected_as_often_as_they_come() -> None:
    found = Arrivals()
    for second in range(0, 36000, 10):
        found = found.after_one(float(second))
    assert found.rate(35995.0) == pytest.approx(0.1, rel=0.05)


def test_a_single_call_is_first_expected_again_soon_and_then_seldom() -> None:
    found = Arrivals().after_one(0.0)
    at_once = math.log(2.0) * (SOON_PART / SOON + LATER_PART / LATER)
    assert found.rate(0.0) == pytest.approx(at_once)
    assert found.rate(10 * SOON) == pytest.approx(LATER_PART * math.log(2.0) / LATER, rel=0.3)
    assert found.rate(40 * LATER) == pytest.approx(0.0, abs=1e-9)


def test_nothing_is_expected_of_a_farm_without_calls(queue: Queue) -> None:
    assert calls_a_second(queue.redis, queue.keys.demand()) == {}
