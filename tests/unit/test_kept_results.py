"""Results whose death takes something along outlive their task; others do not."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from spaces_workers.child.results_with_destructors import LIFETIME, MOST, KeptResults


class Mortal:
    """Like the owner of a file."""

    def __del__(self) -> None:
        pass


class Plain:
    """Nothing happens when it dies."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time now, to be set."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: [(one, "text")], lambda one: {"key": [one]}])
def test_what_does_something_when_it_dies_is_kept_for_its_time(clock: list[float], wrap: Any) -> None:
    kept, one = KeptResults(), Mortal()
    alive = weakref.ref(one)
    kept.keep(wrap(one))
    del one
    clock[0] += LIFETIME - 1
    kept.release()
    assert alive() is not None
    clock[0] += 1
    kept.release()
    assert alive() is None


def test_other_results_are_let_go() -> None:
    kept, one = KeptResults(), Plain()
    alive = weakref.ref(one)
    kept.keep([one])
    del one
    assert alive() is None


def test_a_stream_of_them_keeps_the_last_ones() -> None:
    kept = KeptResults()
    made = [Mortal() for _ in range(MOST + 1)]
    alive = [weakref.ref(one) for one in made]
    while made:
        kept.keep(made.pop(0))
    assert [ref() is None for ref in alive] == [True, *[False] * MOST]
