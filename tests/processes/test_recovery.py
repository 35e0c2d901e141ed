"""Workers and brokers that are killed under load: no task is lost, and only running tasks run twice."""

from __future__ import annotations

import pytest

from benchmarks.recovery import under_load


@pytest.mark.parametrize("of_broker", [False, True], ids=["workers", "the broker"])
def test_kills_under_load_lose_nothing_and_repeat_only_what_was_in_flight(of_broker: bool) -> None:
    outcome = under_load(tasks=1_500, kills=3, of_broker=of_broker)
    assert (outcome.accepted, outcome.lost, outcome.ended_twice, outcome.ran_after_end) == (1_500, 0, 0, 0)
    assert outcome.ran_twice == len(outcome.recoveries)
    assert outcome.ran_twice <= (0 if of_broker else 3)
