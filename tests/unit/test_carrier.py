"""A worker brings payloads to where their reader can reach them, and leaves no copy behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from spaces.errors import BlobGone, SpacesError
from spaces.farm.connection import connect
from spaces.farm.events import Yielded
from spaces.farm.payloads.broker_store import BrokerStore
from spaces.farm.payloads.packer import to_encoded, to_payload
from spaces.farm.payloads.payload import FileCopy, Payload, blobs_of
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.task import Task
from spaces.farm.values.codec import Encoded
from spaces_workers.broker.find import find_broker
from spaces_workers.worker.carrier import Carrier
from tests.broker.support import make_task

LARGE = Encoded(b"", (b"a" * 70_000,))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerStore]:
    with find_broker(tmp_path_factory.mktemp("broker")) as found, connect(found.url) as redis:
        yield BrokerStore(redis, lifetime=60.0, key=lambda name: f"blob:{name}")


@pytest.fixture
def memory(tmp_path: Path) -> SharedMemoryStore:
    return SharedMemoryStore(tmp_path, "here")


@pytest.fixture
def carrier(memory: SharedMemoryStore, broker: BrokerStore) -> Carrier:
    return Carrier("here", memory, broker)


def task_of(host: str) -> Task:
    return replace(make_task(), host=host)


def with_file(store: BrokerStore | SharedMemoryStore) -> Payload:
    """A large payload with a large file."""
    return replace(to_payload(LARGE, store), files=(FileCopy("/tmp/x", 1, 1, to_payload(LARGE, store)),))


def test_arguments_in_the_broker_are_copied_for_a_child_and_forgotten(
    carrier: Carrier, memory: SharedMemoryStore, broker: BrokerStore, tmp_path: Path
) -> None:
    original = with_file(broker)
    fetched = carrier.fetched(original, "space")
    assert [blob.place for blob in blobs_of(fetched)] == ["memory", "memory"]
    assert bytes(to_encoded(fetched, memory).buffers[0]) == LARGE.buffers[0]
    carrier.forget(fetched, original)
    assert list((tmp_path / "blobs").iterdir()) == []
    assert bytes(to_encoded(original, broker).buffers[0]) == LARGE.buffers[0]


def test_no_user_is_looked_up_for_arguments_without_a_blob(memory: SharedMemoryStore, broker: BrokerStore) -> None:
    asked = list[str]()
    carrier = Carrier("here", memory, broker, user_of=asked.append)
    carrier.fetched(Payload(b"small"), "space")
    assert asked == []
    carrier.fetched(with_file(memory), "space")
    assert asked == ["space"]


def test_arguments_in_the_memory_of_this_host_stay_where_they_are(carrier: Carrier, memory: SharedMemoryStore) -> None:
    original = with_file(memory)
    assert carrier.fetched(original, "space") == original
    carrier.forget(original, original)
    assert bytes(to_encoded(original, memory).buffers[0]) == LARGE.buffers[0]


def test_arguments_in_the_memory_of_another_host_are_refused(carrier: Carrier, tmp_path: Path) -> None:
    elsewhere = to_payload(LARGE, SharedMemoryStore(tmp_path / "elsewhere", "elsewhere"))
    with pytest.raises(SpacesError, match="in the shared memory of 'elsewhere', which this worker on 'here'"):
        carrier.fetched(elsewhere, "space")


def test_a_value_for_another_host_moves_to_the_broker(
    carrier: Carrier, memory: SharedMemoryStore, broker: BrokerStore, tmp_path: Path
) -> None:
    event = carrier.delivered(Yielded(with_file(memory)), task_of("there"))
    assert [blob.place for blob in blobs_of(event.value)] == ["broker", "broker"]
    assert bytes(to_encoded(event.value, broker).buffers[0]) == LARGE.buffers[0]
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_value_for_this_host_stays_in_its_memory(carrier: Carrier, memory: SharedMemoryStore) -> None:
    event = Yielded(with_file(memory))
    assert carrier.delivered(event, task_of("here")) is event


def test_a_payload_that_is_gone_is_said_to_be(carrier: Carrier, broker: BrokerStore) -> None:
    payload = to_payload(LARGE, broker)
    for blob in blobs_of(payload):
        broker.delete(blob)
    with pytest.raises(BlobGone, match="no longer in the broker"):
        carrier.fetched(payload, "space")
