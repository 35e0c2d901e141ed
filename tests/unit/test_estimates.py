"""Estimates start at the declared duration, approach the measured one, and stay between the two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.farm.queue.estimates import DEFAULT, NOTHING, EstimateRules, Learned, estimate, handicap, step, update

SECONDS = st.floats(0.0, 3000.0, allow_subnormal=False)


def after(*runs: float, rules: EstimateRules = DEFAULT) -> Learned:
    learned = NOTHING
    for seconds in runs:
        learned = update(learned, seconds, rules)
    return learned


def test_before_the_first_run_the_declaration_is_believed() -> None:
    assert estimate(NOTHING, 60.0) == 60.0


@pytest.mark.parametrize(("runs", "expected"), [(1, 10.95), (5, 3.53), (20, 2.35)])
def test_who_declares_60_seconds_and_takes_2_is_soon_expected_to_take_2(runs: int, expected: float) -> None:
    assert estimate(after(*[2.0] * runs), 60.0) == pytest.approx(expected, abs=0.01)


def test_what_a_function_took_long_ago_is_forgotten() -> None:
    assert after(*[2.0] * 1000, *[40.0] * 60).mean == pytest.approx(40.0, rel=0.05)


def test_durations_that_are_nearly_alike_learn_together() -> None:
    assert step(60.0) == step(61.3)
    assert step(60.0) != step(75.0) != step(120.0)
    assert len({step(tenths / 10) for tenths in range(1, 36_000)}) < 70


def test_few_runs_count_alike() -> None:
    assert after(1.0, 2.0, 6.0) == Learned(3, 3.0)


@given(st.lists(SECONDS, max_size=50), st.floats(0.1, 3000.0))
def test_an_estimate_lies_between_the_shortest_run_and_the_declaration(runs: list[float], declared: float) -> None:
    expected = estimate(after(*runs), declared)
    assert min([declared, *runs]) * (1 - 1e-9) <= expected <= declared


@given(st.lists(SECONDS, min_size=1, max_size=30), SECONDS)
def test_a_longer_run_never_makes_the_estimate_shorter(runs: list[float], more: float) -> None:
    longer = [*runs[:-1], runs[-1] + more]
    assert estimate(after(*runs), 60.0) <= estimate(after(*longer), 60.0)


@given(st.lists(SECONDS, max_size=30))
def test_what_was_learned_survives_the_broker(runs: list[float]) -> None:
    assert Learned.unpack(after(*runs).pack()) == after(*runs)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_no_run_takes_less_than_nothing_or_for_ever(seconds: float) -> None:
    with pytest.raises(ValueError, match="the seconds of a run must be finite and at least 0"):
        update(NOTHING, seconds)


def test_the_handicap_shares_its_weight_among_the_gpus() -> None:
    rules = EstimateRules(weight=120.0, floor=1.0, cap=120.0)
    assert handicap(10.0, gpus=1, rules=rules) == 1200.0
    assert handicap(10.0, gpus=4, rules=rules) == 300.0


def test_the_handicap_has_a_floor_and_a_cap() -> None:
    rules = EstimateRules(weight=1.0, floor=1.0, cap=120.0)
    assert [handicap(seconds, 1, rules) for seconds in (0.01, 1.0, 120.0, 1500.0)] == [1.0, 1.0, 120.0, 120.0]
