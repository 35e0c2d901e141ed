"""A farm on a broker with a replica, behind a link that can be broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.brokers import Brokers
from spaces_workers.broker.broker import Broker
from tests.harness import Farm


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Brokers]:
    """A broker and its replica."""
    made = Brokers(tmp_path / "broker")
    yield made
    made.close()


@pytest.fixture
def replicated(brokers: Brokers, tmp_path: Path) -> Iterator[Farm]:
    """A farm on them, with a worker."""
    made = Farm(Broker(brokers.url), tmp_path)
    made.register()
    made.start_worker()
    yield made
    made.stop()
    made.redis.close()
