"""Payloads: small ones are sent whole, large ones are kept in shared memory or in the broker, and paths are refused."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from redis import Redis

from spaces.errors import BlobGone, RefusedError
from spaces.farm import wire
from spaces.farm.connection import connect
from spaces.farm.payloads import broker_store
from spaces.farm.payloads.blob_layout import join, split
from spaces.farm.payloads.broker_store import BrokerStore
from spaces.farm.payloads.nearest import NearestStore
from spaces.farm.payloads.packer import to_encoded, to_payload
from spaces.farm.payloads.payload import INLINE_BYTES, Blob, Payload
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.payloads.store import discard
from spaces.farm.values.codec import Codec, Encoded
from spaces_workers.broker.find import find_broker

LARGE = Encoded(b"body", (b"a" * 70_000, b"", b"b" * 65))


@pytest.fixture
def memory(tmp_path: Path) -> SharedMemoryStore:
    return SharedMemoryStore(tmp_path, "here")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with find_broker(tmp_path_factory.mktemp("broker")) as broker, connect(broker.url) as client:
        yield client


@pytest.fixture
def broker(redis: Redis) -> BrokerStore:
    return BrokerStore(redis, lifetime=60.0, key=lambda name: f"blob:{name}")


def content(encoded: Encoded) -> list[bytes]:
    return [bytes(part) for part in (encoded.body, *encoded.buffers)]


def blob_of(payload: Payload) -> Blob:
    assert payload.blob is not None
    return payload.blob


def test_a_small_value_travels_inside_its_message(memory: SharedMemoryStore) -> None:
    payload = to_payload(Encoded(b"body", (memoryview(b"buffer"),)), memory)
    assert payload == Payload(b"body", (b"buffer",))
    assert content(to_encoded(wire.unpack(wire.pack(payload)), memory)) == [b"body", b"buffer"]
    discard(payload, memory)


def test_the_limit_counts_body_and_buffers_together(memory: SharedMemoryStore) -> None:
    half = b"x" * (INLINE_BYTES // 2)
    assert to_payload(Encoded(half, (half,)), memory).blob is None
    assert to_payload(Encoded(half, (half, b"x")), memory).blob is not None


@pytest.mark.parametrize("place", ["memory", "broker"])
def test_a_large_value_waits_in_a_store(place: str, request: pytest.FixtureRequest) -> None:
    store = request.getfixturevalue(place)
    payload = to_payload(LARGE, store)
    assert (payload.body, payload.buffers) == (b"", ())
    assert blob_of(payload).size_bytes > LARGE.size_bytes
    assert content(to_encoded(wire.unpack(wire.pack(payload)), store)) == content(LARGE)
    discard(payload, store)
    with pytest.raises(BlobGone, match="no longer in"):
        to_encoded(payload, store)
    discard(payload, store)


@pytest.mark.parametrize(("hosts", "place"), [({"here"}, "memory"), ({"here", "there"}, "broker"), (set(), "broker")])
def test_a_caller_writes_where_every_worker_can_read(
    hosts: set[str], place: str, memory: SharedMemoryStore, broker: BrokerStore
) -> None:
    store = NearestStore("here", memory, broker, lambda: hosts)
    payload = to_payload(LARGE, store)
    assert blob_of(payload).place == place
    assert content(to_encoded(payload, store)) == content(LARGE)
    discard(payload, store)
    with pytest.raises(BlobGone):
        to_encoded(payload, store)


def test_a_payload_is_read_from_the_store_that_holds_it(memory: SharedMemoryStore, broker: BrokerStore) -> None:
    store = NearestStore("here", memory, broker, set)
    for payload in (to_payload(LARGE, memory), to_payload(LARGE, broker)):
        assert content(to_encoded(payload, store)) == content(LARGE)


def test_a_payload_out_of_reach_is_refused_and_left_to_its_host(
    memory: SharedMemoryStore, broker: BrokerStore, tmp_path: Path
) -> None:
    there = SharedMemoryStore(tmp_path, "elsewhere")
    elsewhere = to_payload(LARGE, there)
    for store in (memory, NearestStore("here", memory, broker, set)):
        with pytest.raises(ValueError, match="elsewhere"):
            to_encoded(elsewhere, store)
        discard(elsewhere, store)
    assert content(to_encoded(elsewhere, there)) == content(LARGE)


def test_files_are_readable_by_their_user_alone(memory: SharedMemoryStore, tmp_path: Path) -> None:
    memory.write(LARGE)
    (file,) = (tmp_path / "blobs").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_was_read_outlives_its_file(memory: SharedMemoryStore) -> None:
    payload = to_payload(Codec().encode(np.arange(20_000)), memory)
    encoded = to_encoded(payload, memory)
    discard(payload, memory)
    assert Codec().decode(encoded.body, encoded.buffers)[19_999] == 19_999


def test_what_a_reader_changes_stays_its_own(memory: SharedMemoryStore) -> None:
    payload = to_payload(Codec().encode(np.zeros(20_000)), memory)
    first, second = (
        Codec().decode(e.body, e.buffers) for e in (to_encoded(payload, memory), to_encoded(payload, memory))
    )
    first[:] = 1
    assert not second.any()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "A" * 32, "0" * 31, "0" * 33, "0" * 31 + "\n"])
def test_a_name_from_the_network_cannot_leave_its_place(
    name: str, memory: SharedMemoryStore, broker: BrokerStore
) -> None:
    for store, blob in ((memory, Blob("memory", name, "here", 1)), (broker, Blob("broker", name, "", 1))):
        for act in (store.read, store.delete):
            with pytest.raises(ValueError, match="payload"):
                act(blob)


def test_a_link_in_the_folder_is_not_followed(memory: SharedMemoryStore, tmp_path: Path) -> None:
    blob = memory.write(LARGE)
    (tmp_path / "blobs" / blob.name).rename(tmp_path / "elsewhere")
    (tmp_path / "blobs" / blob.name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="symbolic"):
        memory.read(blob)


def test_old_files_are_swept_finished_or_not(tmp_path: Path) -> None:
    memory = SharedMemoryStore(tmp_path, "here", clock=lambda: 1000.0)
    assert memory.sweep(older_than=60) == 0
    for name, written in {"old": 930.0, "older.unfinished": 10.0, "young": 950.0}.items():
        (tmp_path / "blobs").mkdir(exist_ok=True)
        (tmp_path / "blobs" / name).touch()
        os.utime(tmp_path / "blobs" / name, (written, written))
    assert memory.sweep(older_than=60) == 2
    assert [entry.name for entry in (tmp_path / "blobs").iterdir()] == ["young"]


def test_a_full_disk_is_said_and_leaves_no_file(
    memory: SharedMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(RefusedError, match=r"blobs has no room for a payload of 0\.1 MB"):
        memory.write(LARGE)
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_string_in_the_broker_has_a_lifetime(redis: Redis, broker: BrokerStore) -> None:
    blob = broker.write(LARGE)
    assert 0 < int(redis.pttl(f"blob:{blob.name}")) <= 60_000


def test_a_string_too_large_for_the_broker_is_refused(broker: BrokerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_store, "BROKER_BYTES", 2**16)
    with pytest.raises(RefusedError, match="too large for the broker"):
        broker.write(LARGE)


def test_parts_begin_at_aligned_addresses() -> None:
    data = b"".join(join([b"a", b"", b"c" * 200]))
    whole = memoryview(data)
    assert [bytes(part) for part in split(whole)] == [b"a", b"", b"c" * 200]
    assert len(data) % 64 == 0
    assert data.index(b"c") % 64 == 0


@pytest.mark.parametrize("cut", range(0, 320, 13))
def test_parts_that_were_cut_off_or_never_were_are_refused(cut: int) -> None:
    data = b"".join(join([b"a" * 70, b"b" * 70]))
    with pytest.raises(ValueError, match="payload"):
        split(memoryview(data[:cut]))


@pytest.mark.parametrize("count", [0, 1, 5, 2**63])
def test_a_forged_number_of_parts_is_refused(count: int) -> None:
    data = b"ZFPARTS1" + count.to_bytes(8, "little") + b"\xff" * 16
    with pytest.raises(ValueError, match="payload"):
        split(memoryview(data))


def test_a_file_is_read_only_if_it_is_what_its_message_says(memory: SharedMemoryStore, tmp_path: Path) -> None:
    """A pipe blocked its reader for ever, and a file of any size was mapped."""
    blob = memory.write(LARGE)
    path = tmp_path / "blobs" / blob.name
    with pytest.raises(ValueError, match=rf"has {blob.size_bytes} bytes, but 5 were announced"):
        memory.read(replace(blob, size_bytes=5))
    os.truncate(path, 2**40)  # without taking any room
    for act in (memory.read, memory.copy):
        with pytest.raises(ValueError, match="has 1099511627776 bytes"):
            act(blob)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a file"):
        memory.read(blob)


def test_a_file_of_another_user_is_not_read(
    memory: SharedMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = memory.write(LARGE)
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    with pytest.raises(ValueError, match="belongs to user"):
        SharedMemoryStore(tmp_path, "here").read(blob)
    owner = (tmp_path / "blobs" / blob.name).stat().st_uid
    assert content(SharedMemoryStore(tmp_path, "here", owners=[owner]).read(blob)) == content(LARGE)


def test_a_folder_that_became_a_link_is_not_entered(memory: SharedMemoryStore, tmp_path: Path) -> None:
    blob = memory.write(LARGE)
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    (tmp_path / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="directory"):
        memory.read(blob)


def test_a_copy_outlives_a_file_that_its_writer_cuts_off(memory: SharedMemoryStore, tmp_path: Path) -> None:
    """A worker that had mapped such a file would die of SIGBUS."""
    blob = memory.write(LARGE)
    copied = memory.copy(blob)
    os.truncate(tmp_path / "blobs" / blob.name, 0)
    assert content(copied) == content(LARGE)
