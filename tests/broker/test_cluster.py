"""All keys of a farm lie in one slot, so its scripts run on a node of a cluster as they do on a single broker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from spaces.farm.connection import connect
from spaces.farm.events import Said, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import Keys
from spaces.farm.queue.queue import CancelOutcome, Queue
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import State
from spaces_workers.broker.binary import find_server
from tests.harness import free_port
from tests.waiting import wait_until

from .support import SIZES, answers, claimed, pushed, state_of


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Redis]:
    """A node of a cluster that has been given one slot, that of the farm: it refuses the keys of any other."""
    socket = tmp_path / "node.sock"
    command = [str(find_server()), "--unixsocket", str(socket), "--dir", str(tmp_path), "--port", "0"]
    # By default the bus has port 10000, which another test may have.
    cluster = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-port", str(free_port())]
    with subprocess.Popen([*command, *cluster], stdout=subprocess.DEVNULL) as server:
        try:
            with connect(f"redis+socket://{socket}") as redis:
                wait_until(lambda: answers(redis))
                slot = redis.execute_command("CLUSTER", "KEYSLOT", Keys().workers())
                redis.execute_command("CLUSTER", "ADDSLOTS", slot)
                wait_until(lambda: b"cluster_state:ok" in redis.execute_command("CLUSTER", "INFO"))
                yield redis
        finally:
            server.kill()


def test_every_script_keeps_to_the_slot_of_the_farm(node: Redis) -> None:
    queue = Queue(node)
    first, second, third = (pushed(queue, client="web-1", estimate=seconds) for seconds in (1.0, 2.0, 3.0))
    assert queue.leases.beat("w1", {"sizes": SIZES}).cancelled == {}
    queue.leases.client_beat("web-1")
    found = queue.claim("w1", SIZES, Warmth({"digits": 0.0}, 1.0), hold=0.1)
    assert found is not None
    assert found.lease.task == first
    queue.append(found.lease, [Said("half")])
    assert queue.end(found.lease, Succeeded(Payload(b""), 1.0))
    assert queue.release(claimed(queue).lease)
    assert queue.cancel(third.id, "the visitor left") is CancelOutcome.REMOVED
    assert queue.leases.leave("w1") == 0
    queue.leases.client_leave("web-1")
    assert [state_of(queue, task) for task in (first, second, third)] == [
        State.SUCCEEDED,
        State.CANCELLED,
        State.CANCELLED,
    ]


def test_keys_without_a_hash_tag_would_be_refused(node: Redis) -> None:
    """Shows that the node does check."""
    with pytest.raises(ResponseError):
        pushed(Queue(node, Keys(prefix="untagged")))
