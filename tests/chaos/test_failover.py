"""A broker that is replaced by its replica at the same address: scripts are loaded again, leases and streams go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.brokers import Brokers
from spaces_workers.broker.broker import Broker
from tests.harness import Farm, wait_until
from tests.processes.test_deaths import running


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


def test_a_stream_and_waiting_tasks_go_on_after_a_failover(replicated: Farm, brokers: Brokers) -> None:
    with replicated.client() as client:
        stream = client.submit("faults", "count", 30, 0.1)
        wait_until(lambda: running(replicated, stream.id))
        waiting = client.submit("faults", "add", 1, 2)
        brokers.fail_over()
        assert list(stream) == list(range(30))
        assert waiting.result(timeout=60) == 3
        assert client.submit("faults", "add", 3, 4).result(timeout=60) == 7
        state = replicated.queue.state(stream.id)
        assert state is not None
        assert state.attempt == 1
