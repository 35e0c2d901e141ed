"""Reading and writing the events of tasks: in order, each once, through outages, and no faster than they are read."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from redis import Redis

from spaces.errors import FarmUnavailable, TaskLost
from spaces.farm.connection import connect
from spaces.farm.events import Cancelled, Event, Said, Started, Succeeded, Yielded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import TAKES_SEVERAL, YIELDS_PER_CREDIT
from spaces.farm.queue.queue import LeaseLost, Queue
from spaces.farm.stream import inbox as inbox_module
from spaces.farm.stream.delivery import Delivery
from spaces.farm.stream.entries import events_of
from spaces.farm.stream.inbox import Inbox
from spaces.farm.stream.writer import WINDOW, EventWriter
from spaces.farm.subscription import Subscription
from spaces.farm.task import Lease
from tests.waiting import PATIENCE, wait_until

from .support import MESSAGE, Server, claimed, expire_worker, in_thread, make_task, pushed, said

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


@pytest.fixture
def inbox(broker_url: str) -> Iterator[Inbox]:
    """The inbox of a process that reads."""
    made = Inbox(lambda: connect(broker_url))
    yield made
    made.close()


def read_to_the_end(delivery: Delivery) -> list[Event]:
    events = []
    while (event := delivery.next_event(10.0)) is not None:
        events.append(event)
    return events


def subscribers(queue: Queue, inbox: Inbox) -> int:
    [(_, count)] = cast(list[tuple[bytes, int]], queue.redis.pubsub_numsub(queue.keys.inbox(inbox.name)))
    return count


def followed(queue: Queue, inbox: Inbox) -> tuple[Delivery, Lease]:
    """A running task whose events are published to an inbox that listens."""
    task = replace(make_task(), reader=inbox.name)
    delivery = inbox.follow(task.id)
    wait_until(lambda: subscribers(queue, inbox) == 1)
    queue.push(task, MESSAGE)
    return delivery, claimed(queue).lease


def test_a_reader_sees_every_event_in_order_and_stops_at_the_end(queue: Queue, inbox: Inbox) -> None:
    delivery, lease = followed(queue, inbox)
    events: list[Event] = [Started("w1", "cpu"), Said("hello"), *(yielded(number) for number in range(250))]
    queue.append(lease, events)
    queue.end(lease, RESULT)
    assert read_to_the_end(delivery) == [*events, RESULT]
    assert delivery.next_event(10.0) is None


def test_a_task_that_was_pushed_before_is_read_from_its_first_event_on(queue: Queue, inbox: Inbox) -> None:
    lease = running(queue)
    queue.append(lease, [Started("w1", "cpu"), *(yielded(number) for number in range(250))])
    delivery = inbox.join(lease.task.id)
    queue.append(lease, [Said("late")])
    queue.end(lease, RESULT)
    assert read_to_the_end(delivery) == [
        Started("w1", "cpu"),
        *(yielded(number) for number in range(250)),
        Said("late"),
        RESULT,
    ]


def test_a_reader_is_woken_by_an_event(queue: Queue, inbox: Inbox) -> None:
    delivery, lease = followed(queue, inbox)
    seen: list[Event | None] = []
    thread = in_thread(lambda: seen.append(delivery.next_event(10 * PATIENCE)))
    queue.append(lease, [Said("now")])
    thread.join(PATIENCE)
    assert seen == [Said("now")]


def test_a_coroutine_is_woken_by_an_event(queue: Queue, inbox: Inbox) -> None:
    delivery, lease = followed(queue, inbox)

    async def read() -> Event | None:
        waiting = asyncio.create_task(delivery.next_event_async())
        await asyncio.sleep(0)
        await asyncio.to_thread(queue.append, lease, [Said("now")])
        return await asyncio.wait_for(waiting, PATIENCE)

    assert asyncio.run(read()) == Said("now")


def test_a_credit_that_the_broker_refuses_keeps_no_other_from_its_writer(queue: Queue, inbox: Inbox) -> None:
    """A page that gave a credit of no tokens stopped the streams of all pages behind its gateway."""
    inbox._pay("of none", 0)
    inbox._pay("of one", 1)
    wait_until(lambda: queue.redis.llen(queue.keys.credit("of one")) == 1)


def test_a_thousand_waiting_tasks_need_one_thread_and_few_connections(queue: Queue, inbox: Inbox) -> None:
    threads, connections, deliveries = threading.active_count(), len(queue.redis.client_list()), []
    for _ in range(1000):
        task = replace(make_task(), reader=inbox.name)
        deliveries.append(inbox.follow(task.id))
        queue.push(task, MESSAGE)
    wait_until(lambda: subscribers(queue, inbox) == 1)
    assert threading.active_count() <= threads + 3
    assert len(queue.redis.client_list()) <= connections + 3
    while (found := queue.claim("w1", ["large"])) is not None:
        queue.end(found.lease, RESULT)
    assert [delivery.next_event(PATIENCE) for delivery in deliveries] == [RESULT] * 1000


def test_a_reader_that_hears_nothing_says_so_in_time(queue: Queue, inbox: Inbox) -> None:
    delivery, _ = followed(queue, inbox)
    began = time.monotonic()
    assert delivery.next_event(0.05) is None
    assert 0.04 < time.monotonic() - began < PATIENCE


def test_a_reader_that_is_not_to_wait_does_not(queue: Queue, inbox: Inbox) -> None:
    assert followed(queue, inbox)[0].next_event(0.0) is None


def test_a_reader_of_a_task_that_is_cancelled_in_the_queue_sees_its_end(queue: Queue, inbox: Inbox) -> None:
    task = pushed(queue)
    delivery = inbox.join(task.id)
    queue.cancel(task.id, "the visitor left")
    assert read_to_the_end(delivery) == [Cancelled("the visitor left")]


def test_a_reader_of_a_task_that_the_broker_forgot_is_told(
    queue: Queue, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "SILENCE", 0.0)
    delivery, lease = followed(queue, inbox)
    queue.redis.flushall()
    with pytest.raises(TaskLost, match=lease.task.id):
        delivery.next_event(10.0)


def test_events_that_nobody_published_are_found(queue: Queue, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of an earlier version writes the stream alone; so does one whose word is lost with a connection."""
    monkeypatch.setattr(inbox_module, "SILENCE", 0.0)
    delivery, lease = followed(queue, inbox)
    queue.redis.hset(queue.keys.task(lease.task.id), "reader", "")
    queue.append(lease, [Said("unheard")])
    assert delivery.next_event(10.0) == Said("unheard")


@pytest.mark.parametrize("together", [1, 7])
def test_a_subscription_that_breaks_loses_nothing_and_repeats_nothing(
    queue: Queue, inbox: Inbox, together: int
) -> None:
    delivery, lease = followed(queue, inbox)
    for number in range(0, 300, together):
        if number % (50 // together * together) == 0:
            queue.redis.client_kill_filter(_type="pubsub")
        queue.append(lease, [yielded(each) for each in range(number, number + together)])
    queue.end(lease, RESULT)
    count = -(-300 // together) * together
    assert read_to_the_end(delivery) == [*(yielded(number) for number in range(count)), RESULT]


@pytest.mark.parametrize(
    ("name", "expected"), [(f"new{TAKES_SEVERAL}", [(0, 1, 2), (3,)]), ("old", [(0,), (1,), (2,), (3,)])]
)
def test_an_inbox_gets_what_was_written_together_in_one_message_if_it_takes_that(
    queue: Queue, other: Redis, name: str, expected: list[tuple[int, ...]]
) -> None:
    task = replace(make_task(), reader=name)
    with Subscription(other.connection_pool, ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(queue.keys.inbox(name))
        wait_until(lambda: queue.redis.pubsub_numsub(queue.keys.inbox(name))[0][1] == 1)
        queue.push(task, MESSAGE)
        lease = claimed(queue).lease
        queue.append(lease, [yielded(number) for number in range(3)])
        queue.append(lease, [yielded(3)])
        heard: list[bytes] = []
        while len(heard) < len(expected):
            message = subscription.get_message(timeout=10.0)
            if message is not None:
                heard.append(message["data"])
    found = [events_of(task.id, data.split(b" ", 3)[3]) for data in heard]
    assert found == [tuple(map(yielded, numbers)) for numbers in expected]
    assert said(queue, task.id) == [yielded(number) for number in range(4)]  # one entry each


def test_what_a_dead_attempt_said_is_left_out_by_who_had_not_read_it(queue: Queue, inbox: Inbox) -> None:
    lease = running(queue, "w1")
    queue.append(lease, [Started("w1", "cpu"), yielded(1)])
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    second = claimed(queue, "w2").lease
    queue.append(second, [Started("w2", "cpu"), yielded(2)])
    queue.end(second, RESULT)
    delivery = inbox.join(lease.task.id)
    wait_until(lambda: not delivery.is_behind)
    assert read_to_the_end(delivery) == [Started("w2", "cpu"), yielded(2), RESULT]


def test_who_had_read_it_is_told_that_it_is_void(queue: Queue, inbox: Inbox) -> None:
    lease = running(queue, "w1")
    delivery = inbox.join(lease.task.id)
    queue.append(lease, [Started("w1", "cpu")])
    assert delivery.next_event(10.0) == Started("w1", "cpu")
    queue.leases.leave("w1")
    queue.append(claimed(queue, "w2").lease, [Started("w2", "cpu")])
    assert delivery.next_event(10.0) == Started("w2", "cpu")


def test_a_reader_gives_one_credit_for_every_so_many_yields(queue: Queue, inbox: Inbox) -> None:
    delivery, lease = followed(queue, inbox)
    queue.append(lease, [yielded(number) for number in range(3 * YIELDS_PER_CREDIT)])
    credit = queue.keys.credit(lease.task.id)
    for _ in range(YIELDS_PER_CREDIT - 1):
        delivery.next_event(10.0)
    assert queue.redis.llen(credit) == 0
    delivery.next_event(10.0)
    wait_until(lambda: queue.redis.llen(credit) == 1)
    assert queue.redis.ttl(credit) > 0
    for _ in range(2 * YIELDS_PER_CREDIT):
        delivery.next_event(10.0)
    wait_until(lambda: queue.redis.llen(credit) == 3)
    assert queue.append(lease, [Said("x")]) == 3


def test_a_writer_stays_within_its_window_until_it_is_given_credit(queue: Queue, other: Redis, inbox: Inbox) -> None:
    delivery, lease = followed(queue, inbox)
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
    read = [delivery.next_event(10.0) for _ in range(total)]
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
    thread.join(PATIENCE)
    assert outcome == [how]


def test_reader_and_writer_go_on_where_they_were_when_the_broker_was_killed(server: Server) -> None:
    inbox = Inbox(lambda: connect(server.url))
    with connect(server.url) as redis:
        queue = Queue(redis)
        delivery, lease = followed(queue, inbox)
        writer = EventWriter(queue, lease)
        writer.write([Started("w1", "cpu"), yielded(0)])
        assert [delivery.next_event(5.0), delivery.next_event(5.0)] == [Started("w1", "cpu"), yielded(0)]
        seen: list[Event] = []
        server.kill()
        reading = in_thread(lambda: seen.extend(read_to_the_end(delivery)))
        writing = in_thread(lambda: write_and_end(writer))
        server.start()
        reading.join(PATIENCE)
        writing.join(PATIENCE)
        assert seen == [yielded(1), RESULT]
    inbox.close()


def write_and_end(writer: EventWriter) -> None:
    writer.write([yielded(1)])
    writer.end(RESULT)


def test_a_reader_whose_broker_stays_away_gives_up(server: Server) -> None:
    inbox = Inbox(lambda: connect(server.url), patience=0.3)
    with connect(server.url) as redis:
        delivery, lease = followed(Queue(redis), inbox)
        server.kill()
        with pytest.raises(FarmUnavailable, match=f"while the result of task {lease.task.id} was awaited$"):
            delivery.next_event(20.0)
    inbox.close()


def test_a_stopped_writer_writes_nothing(queue: Queue) -> None:
    lease = running(queue)
    writer = EventWriter(queue, lease)
    writer.stop()
    writer.write([Said("x")])
    assert said(queue, lease.task.id) == []
    assert writer.end(Cancelled("stopped"))


def test_a_thousand_frames_take_seconds(queue: Queue, other: Redis, inbox: Inbox) -> None:
    delivery, lease = followed(queue, inbox)
    writer = EventWriter(Queue(other), lease)
    done = threading.Event()

    def write() -> None:
        for number in range(1000):
            writer.write([yielded(number)])
        writer.end(RESULT)
        done.set()

    began = time.monotonic()
    thread = in_thread(write)
    assert len(read_to_the_end(delivery)) == 1001
    thread.join()
    assert done.is_set()
    assert time.monotonic() - began < 30
