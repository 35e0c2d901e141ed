"""Reading and writing a task's stream: in order, each event once, through outages, and no faster than it is read."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from spaces.errors import FarmUnavailable, TaskLost
from spaces.farm.connection import connect
from spaces.farm.events import Cancelled, Event, Said, Started, Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import YIELDS_PER_CREDIT
from spaces.farm.queue.queue import LeaseLost, Queue
from spaces.farm.queue.stream import EventReader
from spaces.farm.queue.writer import WINDOW, EventWriter
from spaces.farm.task import Lease

from .support import Server, claimed, expire_worker, in_thread, pushed, said, wait_until

RESULT = Succeeded(Payload(b"result"))


def yielded(number: int) -> Yielded:
    return Yielded(Payload(str(number).encode()))


def running(queue: Queue, worker: str = "w1") -> Lease:
    pushed(queue)
    return claimed(queue, worker).lease


@pytest.fixture
def other(broker_url: str) -> Iterator[Redis]:
    """A second connection, as the other side has."""
    with connect(broker_url) as redis:
        yield redis


def test_a_reader_sees_every_event_in_order_and_stops_at_the_end(queue: Queue) -> None:
    lease = running(queue)
    events: list[Event] = [Started("w1", "cpu"), Said("hello"), *(yielded(number) for number in range(250))]
    queue.append(lease, events)
    queue.end(lease, RESULT)
    reader = EventReader(queue.redis, lease.task.id)
    assert list(reader) == [*events, RESULT]
    assert reader.next_event(10.0) is None


def test_a_reader_is_woken_by_an_event(queue: Queue, other: Redis) -> None:
    lease = running(queue)
    reader = EventReader(other, lease.task.id)
    seen: list[Event | None] = []
    thread = in_thread(lambda: seen.append(reader.next_event(10.0)))
    wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
    began = time.monotonic()
    queue.append(lease, [Said("now")])
    thread.join()
    assert seen == [Said("now")]
    assert time.monotonic() - began < 0.5


def test_a_reader_that_hears_nothing_says_so_in_time(queue: Queue) -> None:
    task = pushed(queue)
    began = time.monotonic()
    assert EventReader(queue.redis, task.id).next_event(0.05) is None
    assert 0.04 < time.monotonic() - began < 1.0


def test_a_reader_that_is_not_to_wait_does_not(queue: Queue) -> None:
    assert EventReader(queue.redis, pushed(queue).id).next_event(0.0) is None


def test_a_reader_of_a_task_that_is_cancelled_in_the_queue_sees_its_end(queue: Queue) -> None:
    task = pushed(queue)
    queue.cancel(task.id, "the visitor left")
    assert list(EventReader(queue.redis, task.id)) == [Cancelled("the visitor left")]


def test_a_reader_of_a_task_that_the_broker_forgot_is_told(queue: Queue) -> None:
    task = pushed(queue)
    queue.redis.flushall()
    with pytest.raises(TaskLost, match=task.id):
        EventReader(queue.redis, task.id).next_event(0.01)


def test_what_a_dead_attempt_said_is_left_out_by_who_had_not_read_it(queue: Queue) -> None:
    lease = running(queue, "w1")
    queue.append(lease, [Started("w1", "cpu"), yielded(1)])
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    second = claimed(queue, "w2").lease
    queue.append(second, [Started("w2", "cpu"), yielded(2)])
    queue.end(second, RESULT)
    assert list(EventReader(queue.redis, lease.task.id)) == [Started("w2", "cpu"), yielded(2), RESULT]


def test_who_had_read_it_is_told_that_it_is_void(queue: Queue) -> None:
    lease = running(queue, "w1")
    reader = EventReader(queue.redis, lease.task.id)
    queue.append(lease, [Started("w1", "cpu")])
    assert reader.next_event(1.0) == Started("w1", "cpu")
    queue.append(lease, [yielded(1)])
    queue.leases.leave("w1")
    queue.append(claimed(queue, "w2").lease, [Started("w2", "cpu")])
    assert reader.next_event(1.0) == Started("w2", "cpu")


def test_a_reader_gives_one_credit_for_every_so_many_yields(queue: Queue) -> None:
    lease = running(queue)
    queue.append(lease, [yielded(number) for number in range(3 * YIELDS_PER_CREDIT)])
    reader, credit = EventReader(queue.redis, lease.task.id), queue.keys.credit(lease.task.id)
    for _ in range(YIELDS_PER_CREDIT - 1):
        reader.next_event(1.0)
    assert queue.redis.llen(credit) == 0
    reader.next_event(1.0)
    assert queue.redis.llen(credit) == 1
    assert queue.redis.ttl(credit) > 0
    for _ in range(2 * YIELDS_PER_CREDIT):
        reader.next_event(1.0)
    assert queue.append(lease, [Said("x")]) == 3


def test_a_writer_stays_within_its_window_until_it_is_given_credit(queue: Queue, other: Redis) -> None:
    lease = running(queue)
    total = 3 * WINDOW
    writer = EventWriter(Queue(other), lease)
    written: list[int] = []

    def write() -> None:
        for number in range(total):
            writer.write([yielded(number)])
            written.append(number)

    thread = in_thread(write)
    wait_until(lambda: len(said(queue, lease.task.id)) == WINDOW)
    wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
    assert len(written) == WINDOW - 1
    reader = EventReader(queue.redis, lease.task.id)
    read = [reader.next_event(10.0) for _ in range(total)]
    thread.join()
    assert read == [yielded(number) for number in range(total)]


def test_the_credit_of_a_dead_attempt_does_not_count_for_the_next(queue: Queue) -> None:
    lease = running(queue, "w1")
    queue.redis.lpush(queue.keys.credit(lease.task.id), "1", "1")
    queue.leases.leave("w1")
    assert queue.append(claimed(queue, "w2").lease, [Said("x")]) == 0


def test_events_that_are_no_yields_need_no_credit(queue: Queue) -> None:
    writer = EventWriter(queue, running(queue))
    for _ in range(2 * WINDOW):
        writer.write([Said("x")])


@pytest.mark.parametrize("how", ["stop", "lease lost"])
def test_a_writer_that_waits_for_credit_does_not_wait_for_ever(queue: Queue, other: Redis, how: str) -> None:
    lease = running(queue)
    writer = EventWriter(Queue(other), lease)
    outcome: list[str] = []

    def write() -> None:
        try:
            writer.write([yielded(number) for number in range(WINDOW)])
            outcome.append("stop")
        except LeaseLost:
            outcome.append("lease lost")

    thread = in_thread(write)
    wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
    if how == "stop":
        writer.stop()
    else:
        queue.end(lease, RESULT)
    thread.join(5.0)
    assert outcome == [how]


def test_reader_and_writer_go_on_where_they_were_when_the_broker_was_killed(server: Server) -> None:
    with connect(server.url) as first, connect(server.url) as second:
        queue = Queue(first)
        lease = running(queue)
        writer, reader = EventWriter(queue, lease), EventReader(second, lease.task.id)
        writer.write([Started("w1", "cpu"), yielded(0)])
        assert [reader.next_event(5.0), reader.next_event(5.0)] == [Started("w1", "cpu"), yielded(0)]
        seen: list[Event] = []
        server.kill()
        reading = in_thread(lambda: seen.extend(reader))
        writing = in_thread(lambda: write_and_end(writer))
        server.start()
        reading.join(20.0)
        writing.join(20.0)
        assert seen == [yielded(1), RESULT]


def write_and_end(writer: EventWriter) -> None:
    writer.write([yielded(1)])
    writer.end(RESULT)


def test_a_reader_whose_broker_stays_away_gives_up(server: Server) -> None:
    with connect(server.url) as redis:
        task = pushed(Queue(redis))
        reader = EventReader(redis, task.id, patience=0.3)
        server.kill()
        with pytest.raises(FarmUnavailable, match=f"has been away for .* while task {task.id} was waited for$"):
            list(reader)


def test_a_stopped_writer_writes_nothing(queue: Queue) -> None:
    lease = running(queue)
    writer = EventWriter(queue, lease)
    writer.stop()
    writer.write([Said("x")])
    assert said(queue, lease.task.id) == []
    assert writer.end(Cancelled("stopped"))


def test_a_thousand_frames_take_less_than_a_second(queue: Queue, other: Redis) -> None:
    lease = running(queue)
    writer, reader = EventWriter(Queue(other), lease), EventReader(queue.redis, lease.task.id)
    done = threading.Event()

    def write() -> None:
        for number in range(1000):
            writer.write([yielded(number)])
        writer.end(RESULT)
        done.set()

    began = time.monotonic()
    thread = in_thread(write)
    assert len(list(reader)) == 1001
    thread.join()
    assert done.is_set()
    assert time.monotonic() - began < 5.0
