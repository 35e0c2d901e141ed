"""The farm of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.test_up import Up
from tests.guides.farms import farm_of_demos


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm with the demos, and the Spaces of the guides."""
    with farm_of_demos(tmp_path_factory.mktemp("guides")) as made:
        yield made
