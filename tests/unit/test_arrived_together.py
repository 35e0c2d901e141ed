"""What a child has said is taken together, in order, and no further than an end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from spaces.farm import wire
from spaces.farm.events import Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces_workers.link.channel import TOGETHER_BYTES, Channel, ChannelClosed, Garbled
from spaces_workers.link.incoming import LENGTH
from spaces_workers.link.messages import Idle, MemoryUse, Trim
from spaces_workers.worker.run.child_events import Arrived, arrived_together
from spaces_workers.worker.run.pace import EAGER, MOMENT, MOST_TOGETHER, Pace

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
    assert arrived_together(worker, MOST_TOGETHER) == Arrived(frames)
    child.send(frame(3))
    assert arrived_together(worker, MOST_TOGETHER) == Arrived((frame(3),))


def test_nothing_is_taken_behind_an_end(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    for each in (frame(0), END, IDLE):
        child.send(each)
    assert arrived_together(worker, MOST_TOGETHER) == Arrived((frame(0),), END)
    assert worker.receive() == IDLE


def test_a_message_that_is_no_event_comes_last(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    for each in (frame(0), Trim(), frame(1)):
        child.send(each)
    assert arrived_together(worker, MOST_TOGETHER) == Arrived((frame(0),), Trim())


def test_what_a_child_said_before_its_death_is_taken_with_it(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    child.send(frame(0))
    child.close()
    assert arrived_together(worker, MOST_TOGETHER) == Arrived((frame(0),))
    with pytest.raises(ChannelClosed):
        arrived_together(worker, MOST_TOGETHER)


def test_a_stream_is_taken_in_pieces(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    frames = tuple(map(frame, range(MOST_TOGETHER + 1)))
    for each in frames:
        child.send(each)
    assert arrived_together(worker, MOST_TOGETHER).events == frames[:-1]
    assert arrived_together(worker, MOST_TOGETHER).events == frames[-1:]


def test_large_frames_are_not_taken_all_together(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    frames = tuple(Yielded(Payload(b"x" * (TOGETHER_BYTES // 3))) for _ in range(5))
    for each in frames:
        child.send(each)
    first = arrived_together(worker, MOST_TOGETHER).events
    assert len(first) == 3
    assert first + arrived_together(worker, MOST_TOGETHER).events == frames


def test_half_a_frame_is_left_until_all_of_it_is_there(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    child.send(frame(0))
    child.send(frame(1))
    packed = wire.pack(frame(2))
    data = LENGTH.pack(len(packed)) + packed
    os.write(child.fileno(), data[:7])
    assert arrived_together(worker, MOST_TOGETHER).events == (frame(0), frame(1))
    os.write(child.fileno(), data[7:])
    assert arrived_together(worker, MOST_TOGETHER).events == (frame(2),)


def test_what_was_said_before_garbage_is_taken_and_the_garbage_is_noticed(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    child.send(frame(0))
    child.send(frame(1))
    os.write(child.fileno(), LENGTH.pack(3) + b"abc")
    assert arrived_together(worker, MOST_TOGETHER).events == (frame(0), frame(1))
    with pytest.raises(Garbled):
        arrived_together(worker, MOST_TOGETHER)


def test_only_a_fast_stream_waits_for_more() -> None:
    waits: list[float] = []
    pace = Pace(waits.append)
    for count in (1, *[2] * EAGER, 1, *[2] * EAGER):
        pace.wrote(count, 64)
    assert waits == []
    pace.wrote(2, 64)
    assert waits == [MOMENT]
    pace.wrote(64, 64)  # more is there already
    pace.wrote(1, 64)
    assert waits == [MOMENT]


def test_the_first_event_is_written_alone_and_then_ever_more_together() -> None:
    pace = Pace(lambda _: None)
    together = []
    for _ in range(8):
        together.append(pace.most)
        pace.wrote(pace.most, pace.most)
    assert together == [1, 2, 4, 8, 16, 32, 64, 64]


def test_no_more_are_taken_than_may_be_written(ends: tuple[Channel, Channel]) -> None:
    child, worker = ends
    for number in range(4):
        child.send(frame(number))
    assert arrived_together(worker, 1) == Arrived((frame(0),))
    assert arrived_together(worker, 2) == Arrived((frame(1), frame(2)))
    assert arrived_together(worker, 64) == Arrived((frame(3),))
