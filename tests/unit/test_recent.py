"""A measurement is taken anew only after a while."""

from __future__ import annotations

import pytest

from spaces.farm.recent import LASTS, Recent


def test_a_result_is_used_again_until_it_has_lasted() -> None:
    now, counts = 100.0, iter([3, 5])
    recent = Recent(lambda: next(counts), clock=lambda: now)
    assert [recent(), recent()] == [3, 3]
    now += LASTS
    assert [recent(), recent()] == [5, 5]


def test_a_measurement_that_fails_is_tried_again_at_once() -> None:
    results = iter([4])

    def measure() -> int:
        if not tried:
            tried.append(True)
            raise OSError("the counter cannot be read")
        return next(results)

    tried: list[bool] = []
    recent = Recent(measure)
    with pytest.raises(OSError, match="cannot be read"):
        recent()
    assert recent() == 4
