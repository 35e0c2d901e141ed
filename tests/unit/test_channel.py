"""The socket between a worker and processes that run a Space's code: whatever they send, one connection closes."""

from __future__ import annotations

import os
import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator

import msgpack
import pytest

from spaces.farm import wire
from spaces.farm.events import Lost, Progressed, Started, Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces_workers.link import channel as channels
from spaces_workers.link.channel import Channel, ChannelClosed, Garbled
from spaces_workers.link.messages import Close, Forked
from spaces_workers.worker.run.child_events import event_of_child


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the bare socket at its other end."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def framed(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 0])
def test_a_length_that_no_message_has_closes_the_channel_at_once(
    length: int, pair: tuple[Channel, socket.socket]
) -> None:
    """A child that declared 4 GiB stopped all threads of its worker for 26 s, while room was made for it."""
    channel, other = pair
    other.sendall(struct.pack("!I", length) + b"x")
    with pytest.raises(Garbled, match=f"got one of {length}"):
        channel.receive()
    with pytest.raises(ChannelClosed):
        channel.receive()
    assert not other.recv(1)


def test_a_message_takes_memory_only_as_it_arrives(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.sendall(struct.pack("!I", 60 * 2**20) + b"x")
    other.close()
    tracemalloc.start()
    with pytest.raises(ChannelClosed, match="in the middle"):
        channel.receive()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.parametrize("begun", [b"\x00", b"\x00\x00\x00\x09", framed(wire.pack(Close()))[:-1]])
def test_a_message_that_is_not_completed_closes_the_channel(
    begun: bytes, pair: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a header stopped a nursery, and with it the starts of all Spaces, for as long as its sender lived."""
    monkeypatch.setattr(channels, "PATIENCE", 0.05)
    channel, other = pair
    other.sendall(begun)
    assert channel.receive_arrived() is None
    with pytest.raises(Garbled, match=r"within 0\.05 s"):
        channel.receive(timeout=60.0)


def test_a_message_arrives_whatever_its_pieces(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    data = framed(wire.pack(Forked(7)))
    for byte in data[:-1]:
        other.sendall(bytes([byte]))
        assert channel.receive_arrived() is None
    other.sendall(data[-1:] + data)
    assert [channel.receive_arrived(), channel.receive()] == [Forked(7), Forked(7)]


def test_a_large_message_arrives_while_it_is_sent(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    message = Yielded(Payload(os.urandom(5_000_000)))
    sending = threading.Thread(target=other.sendall, args=(framed(wire.pack(message)),))
    sending.start()
    assert channel.receive() == message
    sending.join()


def test_bytes_that_are_no_message_close_the_channel(pair: tuple[Channel, socket.socket]) -> None:
    channel, other = pair
    other.sendall(framed(b"\xc1garbage"))
    with pytest.raises(Garbled, match="no message can be read"):
        channel.receive()


def test_descriptors_that_nobody_expects_are_not_kept(pair: tuple[Channel, socket.socket]) -> None:
    """A child could leave its worker without descriptors: one came with each message."""
    channel, other = pair
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(5):
        socket.send_fds(other, [framed(wire.pack(Close()))], [other.fileno()])
        assert channel.receive() == Close()
    socket.send_fds(other, [framed(b"\xc1")], [other.fileno()])
    with pytest.raises(Garbled):
        channel.receive_with_fd()
    assert set(os.listdir("/proc/self/fd")) == before


def test_one_that_does_not_read_counts_as_gone(pair: tuple[Channel, socket.socket]) -> None:
    channel, _ = pair
    channel.limit_sending(0.05)
    with pytest.raises(ChannelClosed):
        channel.send(Yielded(Payload(b"x" * 10_000_000)))


def test_lists_that_declare_more_than_they_have_take_no_memory() -> None:
    """In lists within lists, 100 kB could make msgpack take gigabytes."""
    deep = b"".join(b"\xdd" + struct.pack(">I", 99_000) for _ in range(400))
    data = msgpack.packb(msgpack.ExtType(1, deep + b"\xc0" * 97_000))
    tracemalloc.start()
    with pytest.raises(wire.BadMessage, match="declares more than it has"):
        wire.unpack(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("said", [Started("w", "cuda"), Lost(3), Close(), 7])
def test_a_child_can_only_say_what_its_function_says(said: object) -> None:
    """A Space's code could end its task as lost, which is not charged, or have it tried again without end."""
    with pytest.raises(Garbled, match=f"{type(said).__name__} is not an event of a function"):
        event_of_child(said)


@pytest.mark.parametrize("said", [Yielded(Payload(b"")), Progressed(()), Succeeded(Payload(b""))])
def test_the_events_of_a_function_are_its_own(said: object) -> None:
    assert event_of_child(said) is said
