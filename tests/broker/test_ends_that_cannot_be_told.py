"""A task whose end, or whose word, cannot be written is ended in words of ours, and is deaf to nothing meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from redis import Redis

from spaces.errors import TaskLost
from spaces.farm import wire
from spaces.farm.connection import connect
from spaces.farm.events import Failed, Said, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.queue import Queue
from spaces.farm.stream.inbox import Inbox
from spaces.farm.stream.writer import EventRefused, EventWriter
from spaces.farm.task import State
from tests.waiting import PATIENCE

from .support import Server, claimed, in_thread, pushed, said, state_of

#: Above the smallest limit that a broker can have for one string.
HUGE = "x" * 3_000_000


RESULT = Succeeded(Payload(b"result"))


@pytest.fixture
def redis(server: Server) -> Iterator[Redis]:
    with connect(server.url) as redis:
        yield redis


@pytest.fixture
def queue_of_small_broker(redis: Redis) -> Queue:
    """Its broker breaks the connection at a string above 1 MB."""
    redis.config_set("proto-max-bulk-len", "1mb")
    return Queue(redis)


def test_an_end_above_the_brokers_limit_is_replaced_by_one_of_ours(queue_of_small_broker: Queue) -> None:
    """It was sent again for ever: past the time limit, and deaf to a cancellation."""
    queue = queue_of_small_broker
    task = pushed(queue)
    assert EventWriter(queue, claimed(queue).lease).end(Failed("ValueError", HUGE, HUGE))
    assert state_of(queue, task) is State.FAILED
    (end,) = said(queue, task.id)
    assert isinstance(end, Failed)
    assert end.text.startswith("the function ended, but how it ended (Failed) could not be told: ")


def test_an_end_that_cannot_be_packed_is_replaced_by_one_of_ours(queue: Queue) -> None:
    task = pushed(queue)
    seconds = cast(Any, object())  # Any: a value that no message can have
    assert EventWriter(queue, claimed(queue).lease).end(Succeeded(Payload(), seconds))
    assert state_of(queue, task) is State.FAILED


def test_an_event_above_the_brokers_limit_ends_its_task_and_no_other_waits_for_it(queue_of_small_broker: Queue) -> None:
    queue = queue_of_small_broker
    pushed(queue)
    writer = EventWriter(queue, claimed(queue).lease)
    with pytest.raises(EventRefused, match="an event is too large for the broker"):
        writer.write([Said(HUGE)])


def test_a_large_end_is_kept_through_an_outage(server: Server, redis: Redis) -> None:
    queue = Queue(redis)
    task = pushed(queue)
    end = Failed("ValueError", HUGE, "")
    writer = EventWriter(queue, claimed(queue).lease)
    server.kill()
    writing = in_thread(lambda: writer.end(end))
    writing.join(1.0)
    server.start()
    writing.join(PATIENCE)
    assert said(queue, task.id) == [end]


def test_an_event_that_cannot_be_read_fails_its_own_task_alone(server: Server, redis: Redis) -> None:
    """The inbox subscribed anew for ever, and delivered no event of any task."""
    queue, inbox = Queue(redis), Inbox(lambda: connect(server.url))
    flawed, sound = pushed(queue), pushed(queue)
    queue.redis.xadd(queue.keys.events(flawed.id), {"e": b"\xc7\x01\x01\x90", "n": 1})
    queue.redis.xadd(queue.keys.events(sound.id), {"e": wire.pack(RESULT), "n": 1})
    deliveries = [inbox.join(task.id) for task in (flawed, sound)]
    with pytest.raises(TaskLost, match=f"an event of task {flawed.id} cannot be read: no message can be read"):
        deliveries[0].next_event(10.0)
    assert deliveries[1].next_event(10.0) == RESULT
    inbox.close()
