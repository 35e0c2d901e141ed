"""The simulator behaves like a farm, its traces have the stated properties, and the bound on waiting always holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.order.inversions import inverted_pairs
from benchmarks.order.policies import CELERY_4, CELERY_10, Aged, Buckets, Estimates, FirstCome, ShortestFirst, bucket
from benchmarks.order.simulator import Rank, waits_of
from benchmarks.order.traces import CALLABLES, CONSTANTS, UNDECLARED, Request, make_functions, make_trace
from spaces.farm.queue.estimates import EstimateRules


@dataclass
class Handicapped(FirstCome):
    """The order of arrival plus a handicap that each request brings, written as the number of its function."""

    def rank(self, request: Request) -> Rank:
        return (request.at + request.function,)


def trace_of(*requests: tuple[float, float]) -> list[Request]:
    """Requests by arrival and seconds, each of a function of its own that declares them."""
    return [Request(at, number, seconds, seconds) for number, (at, seconds) in enumerate(requests)]


def test_first_come_serves_in_the_order_of_arrival() -> None:
    assert waits_of(trace_of((0, 10), (1, 5), (2, 1)), FirstCome(), gpus=1) == [0.0, 9.0, 13.0]


def test_two_gpus_share_one_queue() -> None:
    assert waits_of(trace_of((0, 10), (1, 5), (2, 1), (3, 1)), FirstCome(), gpus=2) == [0.0, 0.0, 4.0, 4.0]


def test_an_idle_gpu_takes_a_task_at_once() -> None:
    assert waits_of(trace_of((0, 1), (100, 1), (200, 1)), ShortestFirst(), gpus=1) == [0.0, 0.0, 0.0]


def test_the_shortest_goes_first_but_interrupts_nobody() -> None:
    assert waits_of(trace_of((0, 10), (1, 5), (2, 1)), ShortestFirst(), gpus=1) == [0.0, 10.0, 8.0]


def test_who_has_waited_for_its_handicap_is_overtaken_no_more() -> None:
    rules = EstimateRules(weight=1.0, floor=0.0, cap=120.0)
    trace = trace_of((0, 20), (1, 5), (3, 1), (7, 1))
    assert waits_of(trace, Aged(1, Estimates(rules)), gpus=1) == [0.0, 20.0, 17.0, 19.0]


def test_a_task_is_ranked_by_what_has_ended_before_it_arrived() -> None:
    trace = [
        Request(0.0, function=1, declared=60.0, seconds=2.0),
        Request(10.0, function=2, declared=30.0, seconds=30.0),
        Request(11.0, function=2, declared=30.0, seconds=30.0),
        Request(12.0, function=1, declared=60.0, seconds=2.0),
    ]
    assert waits_of(trace, ShortestFirst(), gpus=1) == [0.0, 0.0, 31.0, 28.0]


@pytest.mark.parametrize(("steps", "places"), [(CELERY_4, [0, 3, 3, 6, 9]), (CELERY_10, [0, 3, 5, 6, 9])])
def test_buckets_are_those_of_kombu(steps: tuple[int, ...], places: list[int]) -> None:
    assert [bucket(seconds, steps) for seconds in (0.5, 10.0, 60.0, 120.0, 1500.0)] == places


def test_within_a_bucket_the_first_comes_first() -> None:
    assert waits_of(trace_of((0, 1), (0, 100), (0, 90)), Buckets(CELERY_4), gpus=1) == [0.0, 1.0, 101.0]


def test_inverted_pairs_are_counted() -> None:
    assert inverted_pairs([1, 2, 2, 3]) == 0
    assert inverted_pairs([3, 1, 2]) == 2
    assert inverted_pairs(range(10, 0, -1)) == 45


def test_functions_declare_what_was_counted() -> None:
    declared = Counter(function.declared for function in make_functions(Random(1)) if len(function.job_sizes) == 1)
    assert declared.total() == UNDECLARED + sum(CONSTANTS.values())
    assert declared[120] >= 41
    assert declared[1500] == 3
    assert sum(len(function.job_sizes) > 1 for function in make_functions(Random(1))) == CALLABLES


def test_a_trace_is_in_order_and_has_the_load_that_was_asked_for() -> None:
    trace = make_trace(0.9, count=3000, seed=1, gpus=4)
    times = [request.at for request in trace]
    assert len(trace) == 3000
    assert times == sorted(times)
    assert all(0.0 < request.seconds <= request.declared for request in trace)
    assert sum(request.seconds for request in trace) / (4 * times[-1]) == pytest.approx(0.9, rel=0.02)


def test_the_same_seed_makes_the_same_trace() -> None:
    assert make_trace(0.9, 100, seed=1) == make_trace(0.9, 100, seed=1)
    assert make_trace(0.9, 100, seed=1) != make_trace(0.9, 100, seed=2)


@pytest.mark.parametrize("seed", range(1, 4))
def test_at_load_0_9_the_mean_wait_is_at_most_half_of_first_comes(seed: int) -> None:
    trace = make_trace(0.9, count=10_000, seed=seed, gpus=4)
    assert sum(waits_of(trace, Aged(4), 4)) <= 0.5 * sum(waits_of(trace, FirstCome(), 4))


requests = st.tuples(st.integers(0, 30), st.integers(1, 20), st.integers(0, 60))  # arrival, seconds, handicap


def handicapped(drawn: Sequence[tuple[int, int, int]]) -> list[Request]:
    ordered = sorted(drawn, key=lambda request: request[0])
    return [Request(float(at), function=handicap, declared=0.0, seconds=float(s)) for at, s, handicap in ordered]


def beyond(trace: Sequence[Request], gpus: int) -> float:
    """By how much the unluckiest task waits longer than first-come's longest and its own handicap together."""
    longest = max(waits_of(trace, FirstCome(), gpus))
    waits = waits_of(trace, Handicapped(), gpus)
    return max(wait - request.function for wait, request in zip(waits, trace, strict=True)) - longest


@given(st.lists(requests, min_size=1, max_size=25))
@settings(max_examples=300)
def test_on_one_gpu_nobody_waits_beyond_first_come_and_the_own_handicap(drawn: list[tuple[int, int, int]]) -> None:
    """Where every handicap is at least as long as the run, as with estimates that are not 120 times too short."""
    assert beyond(handicapped([(at, seconds, max(seconds, more)) for at, seconds, more in drawn]), gpus=1) <= 0


@given(st.lists(requests, min_size=1, max_size=25), st.integers(1, 4))
@settings(max_examples=300)
def test_on_several_gpus_it_is_at_most_two_runs_more(drawn: list[tuple[int, int, int]], gpus: int) -> None:
    trace = handicapped(drawn)
    uneven = 2 * (1 - 1 / gpus) * max(request.seconds for request in trace)
    underestimated = max(0.0, *(request.seconds / gpus - request.function for request in trace))
    assert beyond(trace, gpus) <= uneven + underestimated + 1e-9


def test_on_two_gpus_the_bound_of_one_gpu_does_not_hold() -> None:
    """Another order packs the GPUs in another way: the last task, with a handicap of 1 s, waits 9 s instead of 7."""
    drawn = [(3, 5, 5), (5, 5, 10), (7, 10, 10), (7, 2, 4), (8, 10, 10), (11, 1, 1)]
    assert max(waits_of(handicapped(drawn), FirstCome(), gpus=2)) == 7.0
    assert beyond(handicapped(drawn), gpus=2) == 1.0
