"""Farms for the tests of processes: one that most tests share, and fresh ones for those that break things."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import spaces
from tests.harness import Farm, farm


@pytest.fixture(scope="module")
def shared_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A broker, a worker, and the Space of faults."""
    with farm(tmp_path_factory.mktemp("farm")) as made:
        made.register()
        made.start_worker()
        yield made


@pytest.fixture
def client(shared_farm: Farm) -> Iterator[spaces.Farm]:
    """A caller of the shared farm."""
    with shared_farm.client() as client:
        yield client


@pytest.fixture
def own_farm(own_farm: Farm) -> Farm:
    """It knows the Space of faults."""
    own_farm.register()
    return own_farm
