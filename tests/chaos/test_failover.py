"""A broker that is replaced by its replica at the same address: scripts are loaded again, leases and streams go on."""

from __future__ import annotations

from chaos.brokers import Brokers
from tests.harness import Farm
from tests.processes.test_deaths import running
from tests.waiting import PATIENCE, wait_until


def test_a_stream_and_waiting_tasks_go_on_after_a_failover(replicated: Farm, brokers: Brokers) -> None:
    with replicated.client() as client:
        stream = client.submit("faults", "count", 30, 0.1)
        wait_until(lambda: running(replicated, stream.id))
        waiting = client.submit("faults", "add", 1, 2)
        brokers.fail_over()
        assert list(stream) == list(range(30))
        assert waiting.result(timeout=PATIENCE) == 3
        assert client.submit("faults", "add", 3, 4).result(timeout=PATIENCE) == 7
        state = replicated.queue.state(stream.id)
        assert state is not None
        assert state.attempt == 1
