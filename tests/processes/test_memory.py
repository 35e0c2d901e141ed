"""Spaces that do not fit on a device together take turns, and those that do stay warm side by side."""

from __future__ import annotations

import pytest

from spaces_workers.gpu.devices import H200_BYTES
from tests.harness import SPACES, Farm
from tests.waiting import PATIENCE

WEIGHTS_GB = 0.1


@pytest.fixture
def two_spaces(own_farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Farm:
    """Two Spaces of 0.1 GiB of weights each."""
    monkeypatch.setenv("HUNGRY_GB", str(WEIGHTS_GB))
    for name in ("first", "second"):
        own_farm.register(name, SPACES / "hungry" / "app.py")
    return own_farm


def processes(farm: Farm, gigabytes: float) -> list[str]:
    """Who served the calls of both in turns, on a device of this size: a new name for each new process."""
    farm.start_worker(memory_fraction=gigabytes * (1 << 30) / H200_BYTES)
    seen: list[int] = []
    served = []
    with farm.client("first") as client:
        for name in ("first", "second", "first", "second"):
            value, pid = client.submit(name, "work").result(timeout=PATIENCE)
            assert value == 2
            seen += [] if pid in seen else [pid]
            served.append(f"{name} {seen.index(pid)}")
    return served


def test_what_fits_stays_warm(two_spaces: Farm) -> None:
    assert processes(two_spaces, 2.5 * WEIGHTS_GB) == ["first 0", "second 1", "first 0", "second 1"]


def test_what_does_not_fit_takes_turns(two_spaces: Farm) -> None:
    assert processes(two_spaces, 1.5 * WEIGHTS_GB) == ["first 0", "second 1", "first 2", "second 3"]
