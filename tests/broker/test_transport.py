"""Celery takes tasks from the ranked queues: kombu and Celery on a real broker, through a unix socket."""

from __future__ import annotations

import json
import logging

import pytest
from celery import Celery
from celery.worker.request import Request
from kombu import Exchange
from kombu import Queue as CeleryQueue

from spaces.farm.celery import here
from spaces.farm.celery.celery_app import make_celery, submit
from spaces.farm.celery.message_form import RUN
from spaces.farm.connection import connect
from spaces.farm.events import Cancelled, Failed, Started
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.warmth import Warmth
from spaces.farm.task import Lease, State
from spaces.farm.version import VERSION
from tests.waiting import PATIENCE, wait_until

from .celery_consumer import RESULT, Worker, drained
from .support import SIZES, Server, claimed, expire_worker, in_thread, make_task, pushed, said, state_of

pytestmark = pytest.mark.usefixtures("identity")


def test_a_submitted_task_is_delivered_with_its_lease(app: Celery, worker: Worker, queue: Queue) -> None:
    task = make_task()
    submit(app, task)
    message = worker.take()
    assert message.properties["lease"] == Lease(task, "w1", 1)
    assert message.delivery_tag == task.id
    assert state_of(queue, task) is State.RUNNING
    message.ack()


def test_a_task_that_is_delivered_says_on_which_device_it_has_started(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    here.identify("w1", "cpu")
    task = make_task()
    submit(app, task)
    message = worker.take()
    assert said(queue, task.id) == [Started("w1", "cpu", VERSION)]
    message.ack()


def test_a_claimed_task_is_begun_before_celery_gets_its_message(app: Celery, worker: Worker) -> None:
    begun, forsaken = list[tuple[Lease, int]](), list[str]()
    here.attend_with(lambda lease: begun.append((lease, len(worker.messages))), forsaken.append)
    task = make_task()
    submit(app, task)
    message = worker.take()
    assert begun == [(Lease(task, "w1", 1), 0)]
    assert forsaken == []
    message.ack()
    assert forsaken == [task.id]


def test_a_task_whose_end_is_written_is_acknowledged_without_the_broker(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    task = make_task()
    submit(app, task)
    message = worker.take()
    lease = message.properties["lease"]
    queue.end(lease, RESULT)
    here.settled(lease)
    before = queue.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    message.ack()
    assert queue.redis.info("commandstats")["cmdstat_evalsha"]["calls"] == before
    assert (here.facts.in_hand, here.facts.settled) == (set(), set())


def test_the_lease_reaches_the_pool_and_no_event_or_answer_of_celery(app: Celery, worker: Worker) -> None:
    task = make_task(summary="7, steps=20")
    submit(app, task)
    message = worker.take()
    request = Request(message, app=app, task=app.tasks[RUN], on_ack=message.ack_log_error)
    assert request.request_dict["properties"]["lease"] == Lease(task, "w1", 1)
    assert (request.id, request.name, request.argsrepr) == (task.id, "digits.generate", "7, steps=20")
    assert request.time_limits == [60.0, None]
    assert task.id in json.dumps(request.info(safe=True))
    message.ack()


def test_tasks_are_delivered_by_rank_over_all_sizes(app: Celery, worker: Worker, queue: Queue) -> None:
    tasks = [make_task(size=size, estimate=seconds) for size, seconds in (("large", 30), ("xlarge", 5), ("large", 1))]
    for task in tasks:
        submit(app, task)
    order = []
    for _ in tasks:
        message = worker.take()
        order.append(message.delivery_tag)
        queue.end(message.properties["lease"], RESULT)
        message.ack()
    assert order == [tasks[2].id, tasks[1].id, tasks[0].id]


def test_a_worker_takes_the_next_task_when_it_has_acknowledged_the_last(app: Celery, worker: Worker) -> None:
    first, second = make_task(estimate=1), make_task(estimate=2)
    submit(app, first)
    submit(app, second)
    message = worker.take()
    drained(worker.connection)
    assert [each.delivery_tag for each in worker.messages] == [first.id]
    message.ack()
    assert worker.take().delivery_tag == second.id


def test_what_is_warm_is_asked_at_each_claim(app: Celery, worker: Worker) -> None:
    here.set_warmth(lambda: Warmth({"names": 0.0}, unseen=100.0))
    cold, warm = make_task("digits", 1.0), make_task("names", 1.5)
    submit(app, cold)
    submit(app, warm)
    assert worker.take().delivery_tag == warm.id


@pytest.fixture
def without_polling(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker does not look for a task by itself, as it else does each second."""
    monkeypatch.setattr(worker.consumer.channel, "brpop_timeout", 10 * PATIENCE)


@pytest.mark.usefixtures("without_polling")
def test_an_idle_worker_is_woken_by_a_task(app: Celery, worker: Worker, queue: Queue) -> None:
    for _ in range(3):
        thread = in_thread(lambda: drained(worker.connection, PATIENCE))
        wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
        submit(app, make_task())
        thread.join()
        worker.messages[-1].ack()
    assert len(worker.messages) == 3


@pytest.mark.usefixtures("without_polling")
def test_a_task_that_is_left_to_a_warmer_worker_is_taken_when_the_moment_is_over(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    here.set_warmth(lambda: Warmth({}, unseen=100.0))
    assert queue.claim("w2", SIZES, Warmth({"digits": 0.0}, unseen=100.0), hold=1.0) is None
    task = make_task("digits")
    submit(app, task)
    worker.take()
    state = queue.state(task.id)
    assert state is not None
    assert state.started_at is not None
    assert queue.rules.hold <= state.started_at - state.enqueued_at
    assert queue.redis.llen(queue.keys.call("w2")) == 1


@pytest.mark.usefixtures("without_polling")
def test_an_idle_worker_is_called_where_another_heard_the_bell(
    app: Celery, worker: Worker, queue: Queue, broker_url: str
) -> None:
    here.set_warmth(lambda: Warmth({"digits": 0.0}, unseen=100.0))
    with connect(broker_url) as other:
        bell = in_thread(lambda: other.brpop([queue.keys.bell("large")], timeout=10 * PATIENCE))
        wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 1)
        thread = in_thread(lambda: drained(worker.connection, PATIENCE))
        wait_until(lambda: queue.redis.info("clients")["blocked_clients"] == 2)
        submit(app, make_task("digits"))
        bell.join()
    assert queue.claim("w2", SIZES, Warmth({}, unseen=100.0), hold=10.0) is None
    thread.join()
    worker.messages[-1].ack()


def test_a_worker_claims_nothing_while_it_is_busy_with_a_task_that_celery_has_forgotten(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    """Celery forgets with a connection which tasks are being prepared. They run on."""
    runs = ["a task"]
    here.attend_with(lambda _: None, lambda _: None, lambda: bool(runs))
    task = make_task()
    submit(app, task)
    drained(worker.connection)
    assert (worker.messages, state_of(queue, task)) == ([], State.QUEUED)
    runs.clear()
    assert worker.take().properties["lease"] == Lease(task, "w1", 1)


def test_a_worker_that_stops_while_its_claim_is_under_way_gives_the_task_back(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    begun = list[Lease]()
    here.attend_with(begun.append, lambda _: None)
    queue.claim("w2", SIZES)  # so that the broker knows the script
    task = make_task()
    submit(app, task)
    worker.connection.transport.cycle.on_poll_start()
    wait_until(lambda: state_of(queue, task) is State.RUNNING)
    worker.consumer.cancel()
    wait_until(lambda: drained(worker.connection) and state_of(queue, task) is State.QUEUED)
    assert (worker.messages, begun) == ([], [])


def test_a_worker_that_stops_while_it_waits_for_the_bell_leaves_the_task_alone(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    cycle = worker.connection.transport.cycle
    cycle.on_poll_start()
    wait_until(lambda: drained(worker.connection) and queue.redis.info("clients")["blocked_clients"] == 1)
    worker.consumer.cancel()
    task = make_task()
    submit(app, task)
    drained(worker.connection)
    assert state_of(queue, task) is State.QUEUED
    assert worker.messages == []


def test_the_acknowledgement_of_a_task_that_has_ended_changes_nothing(
    app: Celery, worker: Worker, queue: Queue
) -> None:
    task = make_task()
    submit(app, task)
    message = worker.take()
    queue.end(message.properties["lease"], RESULT)
    message.ack()
    assert said(queue, task.id) == [RESULT]


def test_a_message_that_celery_throws_away_ends_its_task(app: Celery, worker: Worker, queue: Queue) -> None:
    """Celery acknowledges a revoked task without running it; its caller must be told."""
    task = make_task()
    submit(app, task)
    worker.take().ack()
    assert said(queue, task.id) == [Cancelled("revoked")]
    assert state_of(queue, task) is State.CANCELLED


def test_a_message_that_celery_cannot_read_ends_its_task(app: Celery, worker: Worker, queue: Queue) -> None:
    task = make_task()
    submit(app, task)
    worker.take().reject()
    assert isinstance(said(queue, task.id)[0], Failed)


def test_a_message_that_is_requeued_goes_back_to_its_old_place(app: Celery, worker: Worker, queue: Queue) -> None:
    task = make_task(estimate=1)
    submit(app, task)
    message = worker.take()
    submit(app, make_task(estimate=2))
    message.requeue()
    assert queue.position(task.id) == 0
    assert worker.take().delivery_tag == task.id


def test_the_acknowledgement_of_a_lost_lease_is_refused(
    app: Celery, worker: Worker, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    task = make_task()
    submit(app, task)
    message = worker.take()
    expire_worker(queue, "w1")
    queue.leases.beat("w2")
    claimed(queue, "w2")
    with caplog.at_level(logging.WARNING):
        message.ack()
    assert f"task {task.id} was given to another worker" in caplog.text
    assert state_of(queue, task) is State.RUNNING


def test_closing_the_connection_takes_no_task_from_the_pool(
    app: Celery, worker: Worker, queue: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    """Celery closes its channels after an outage of the broker; the task still runs, and is acknowledged afterwards."""
    task = make_task()
    submit(app, task)
    message = worker.take()
    with caplog.at_level(logging.INFO):
        worker.close()
    assert "Restoring" not in caplog.text
    assert state_of(queue, task) is State.RUNNING
    queue.append(message.properties["lease"], [Started("w1", "cpu")])
    queue.end(message.properties["lease"], RESULT)
    message.ack()
    assert state_of(queue, task) is State.SUCCEEDED


def test_a_task_whose_delivery_was_lost_is_delivered_again(app: Celery, worker: Worker, queue: Queue) -> None:
    task = pushed(queue)
    queue.cancel(task.id, "only its message is needed")
    task = make_task()
    submit(app, task)
    claimed(queue, "w1")  # as a claim of this worker whose answer was lost
    message = worker.take()
    assert message.properties["lease"] == Lease(task, "w1", 2)
    assert message.delivery_info["redelivered"] is True


def test_a_process_that_is_no_worker_cannot_take_tasks(app: Celery) -> None:
    here.identify("")
    with pytest.raises(RuntimeError, match=r"cannot take tasks from zerofarm\.large: this process is no worker"):
        Worker(app)


def test_queues_without_rank_are_kept_as_kombu_keeps_them(app: Celery, worker: Worker, queue: Queue) -> None:
    plain = CeleryQueue("plain", Exchange(""), routing_key="plain")
    worker.consumer.add_queue(plain)
    worker.consumer.consume()
    with app.connection_for_write() as connection, connection.Producer() as producer:
        producer.publish({"a": "b"}, routing_key="plain", serializer="json")
    message = worker.take()
    assert message.payload == {"a": "b"}
    assert "lease" not in message.properties
    message.ack()
    submit(app, make_task())
    assert worker.take().properties["lease"].attempt == 1


def test_an_answer_whose_asker_has_left_does_not_stay_for_ever(app: Celery, queue: Queue) -> None:
    asker, worker = app.control.mailbox, make_celery(app.conf.broker_url).control.mailbox
    with app.connection_for_write() as connection:
        asker.reply_queue(connection.default_channel).declare()
    with app.connection_for_write() as connection, connection.channel() as channel:
        worker._publish_reply({"w1": "pong"}, asker.reply_exchange.name, asker.oid, "a ticket", channel=channel)
    answers = asker.reply_queue.name
    assert queue.redis.llen(answers) == 1
    assert 0 < queue.redis.pttl(answers) <= 10_000


def test_a_message_of_its_own_can_be_fetched_without_waiting(app: Celery, queue: Queue) -> None:
    with app.connection_for_read() as connection:
        ranked = CeleryQueue("zerofarm.large", Exchange(""), channel=connection)
        assert ranked.get() is None
        task = make_task()
        submit(app, task)
        message = ranked.get()
        assert message.properties["lease"] == Lease(task, "w1", 1)
        message.ack()


def test_workers_and_callers_go_on_when_the_broker_has_been_killed(server: Server) -> None:
    app = make_celery(server.url)
    worker = Worker(app)
    before, after = make_task(estimate=1), make_task(estimate=2)
    submit(app, before)
    server.kill()
    server.start()
    submit(app, after)
    worker.connection.collect()
    worker.close()
    worker = Worker(app)
    with connect(server.url) as redis:
        for task in (before, after):
            message = worker.take()
            assert message.delivery_tag == task.id
            Queue(redis).end(message.properties["lease"], RESULT)
            message.ack()
    worker.close()
    app.close()


def test_a_task_that_celery_could_not_throw_away_is_delivered_again(server: Server) -> None:
    app = make_celery(server.url)
    worker = Worker(app)
    task = make_task()
    submit(app, task)
    message = worker.take()
    server.kill()
    with pytest.raises(worker.connection.connection_errors):
        message.ack()
    server.start()
    worker.close()
    worker = Worker(app)
    assert worker.take().properties["lease"] == Lease(task, "w1", 2)
    worker.close()
    app.close()


def test_a_broker_that_was_away_between_two_tasks_is_not_noticed(server: Server) -> None:
    app = make_celery(server.url)
    submit(app, make_task())
    server.kill()
    server.start()
    task = make_task()
    submit(app, task)
    with connect(server.url) as redis:
        assert state_of(Queue(redis), task) is State.QUEUED
    app.close()
