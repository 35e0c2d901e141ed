"""What a child has said is taken together, in order, and no further than an end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spaces.farm.events import Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.messages import Idle, MemoryUse, Trim
from spaces_workers.worker.run.child_events import MOST_TOGETHER, Arrived, arrived_together

IDLE = Idle(clean=True, memory=MemoryUse(0, 0))
END = Succeeded(Payload(b"end"))


def frame(number: int) -> Yielded:
    return Yielded(Payload(b"%d" % number))


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    child, worker = Channel.pair()
    yield child, worker
    child.close()
    worker.close()


def test_what_has_arrived_is_taken_together(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    frames = tuple(map(frame, range(3)))
    for each in frames:
        child.send(each)
    assert arrived_together(worker) == Arrived(frames, None, None)
    child.send(frame(3))
    assert arrived_together(worker) == Arrived((frame(3),), None, None)


def test_nothing_is_taken_behind_an_end(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    for each in (frame(0), END, IDLE):
        child.send(each)
    assert arrived_together(worker) == Arrived((frame(0),), END, None)
    assert worker.receive() == IDLE


def test_a_message_that_is_no_event_comes_last(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    for each in (frame(0), Trim(), frame(1)):
        child.send(each)
    assert arrived_together(worker) == Arrived((frame(0),), Trim(), None)


def test_what_a_child_said_before_its_death_is_taken_with_it(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    child.send(frame(0))
    child.close()
    arrived = arrived_together(worker)
    assert (arrived.events, arrived.last) == ((frame(0),), None)
    assert isinstance(arrived.broken, ChannelClosed)
    with pytest.raises(ChannelClosed):
        arrived_together(worker)


def test_a_stream_is_taken_in_pieces(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    frames = tuple(map(frame, range(MOST_TOGETHER + 1)))
    for each in frames:
        child.send(each)
    assert arrived_together(worker).events == frames[:-1]
    assert arrived_together(worker).events == frames[-1:]
