"""Tasks are submitted as Celery's messages, and Celery hears of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from spaces.errors import FarmUnavailable
from spaces.farm.celery import message_form
from spaces.farm.celery.celery_app import make_celery, submit
from spaces.farm.celery.message_form import RUN, MessageForm
from spaces.farm.celery.one_connection import OneConnection
from spaces.farm.celery.sending import Sender
from spaces.farm.connection import connect
from spaces.farm.queue.queue import Queue
from spaces.farm.task import Task
from tests.waiting import wait_until

from .celery_consumer import drained
from .support import Server, in_thread, make_task


def test_only_tasks_of_spaces_are_accepted(app: Celery, queue: Queue) -> None:
    with pytest.raises(TypeError, match=r"zerofarm\.large takes tasks of Spaces only"):
        app.send_task("something.else", queue="zerofarm.large")
    assert queue.depth("large") == 0


def test_a_submitted_task_waits_in_the_queue_of_its_size(app: Celery, queue: Queue) -> None:
    submit(app, make_task(size="xlarge"))
    assert (queue.depth("large"), queue.depth("xlarge")) == (0, 1)
    with app.connection_for_read() as connection:
        assert connection.default_channel.queue_declare("zerofarm.xlarge").message_count == 1
        assert connection.default_channel.queue_purge("zerofarm.xlarge") == 1


@pytest.mark.parametrize(
    "task",
    [
        make_task(summary="7, steps=20"),
        make_task(space='a "quoted" Space', summary=f'"{message_form._SUMMARY}" \\ {message_form._ID} Grüße 🚀'),
        replace(make_task(), time_limit=90, size="xlarge"),
        replace(make_task(), time_limit=0.1, summary=""),
    ],
)
def test_a_form_that_is_filled_in_is_the_message_that_celery_makes(app: Celery, queue: Queue, task: Task) -> None:
    form = MessageForm.of(app, replace(task, id="another", summary="another", time_limit=1.0))
    with message_form._drafting() as draft:
        draft.id = task.id
        app.send_task(
            RUN,
            task_id=task.id,
            queue=f"zerofarm.{task.size}",
            shadow=task.label,
            argsrepr=task.summary,
            kwargsrepr="",
            time_limit=task.time_limit,
            ignore_result=True,
            declare=[],
            event_dispatcher=draft,
        )
    assert json.loads(form.message(task)) == draft.message
    assert form.event(task) == draft.event


def test_no_event_is_sent_where_celery_is_set_so(app: Celery, queue: Queue) -> None:
    app.conf.task_send_sent_event = False
    task = make_task()
    assert MessageForm.of(app, task).event(task) == {}


def test_a_process_that_ends_at_once_still_tells_what_it_sent(app: Celery, queue: Queue) -> None:
    """Its events are gathered for a moment."""
    events: list[dict[str, Any]] = []
    with app.connection_for_read() as first:
        receiver = app.events.Receiver(first, handlers={"*": events.append})
        with receiver.consumer_context(wakeup=False) as (connection, _channel, _consumers):
            wait_until(lambda: drained(connection) and queue.redis.pubsub_numpat())
            other = make_celery(app.conf.broker_url)
            tasks = submitted(other, 3)
            other.close()
            wait_until(lambda: drained(connection) and len(events) == 3)
    assert [event["uuid"] for event in events] == [task.id for task in tasks]


def test_every_event_names_the_task_as_people_know_it(app: Celery, queue: Queue) -> None:
    """Celery's own `task-sent`, the only event of a waiting task, names the one task that all Spaces share."""
    events: list[dict[str, Any]] = []
    with app.connection_for_read() as first:
        receiver = app.events.Receiver(first, handlers={"*": events.append})
        with receiver.consumer_context(wakeup=False) as (connection, _channel, _consumers):
            wait_until(lambda: drained(connection) and queue.redis.pubsub_numpat())
            submit(app, make_task(summary="7, steps=20"))
            wait_until(lambda: drained(connection) and events)
    assert [(event["type"], event["name"], event["args"]) for event in events] == [
        ("task-sent", "digits.generate", "7, steps=20")
    ]


@pytest.fixture(params=[Redis, OneConnection])
def sender(broker_url: str, request: pytest.FixtureRequest) -> Iterator[Sender]:
    with connect(broker_url) as redis:
        yield Sender(lambda: request.param(connection_pool=redis.connection_pool, single_connection_client=True))


def test_an_answer_that_nobody_waited_for_is_not_taken_for_that_of_the_next_push(sender: Sender, queue: Queue) -> None:
    task = make_task()
    connection = sender.connected_queue().redis.connection
    assert connection is not None
    connection.send_command("PING")  # type: ignore[no-untyped-call] # redis-py's own
    wait_until(connection.can_read)
    assert sender.connected_queue().push(task, b"{}")
    assert not sender.connected_queue().push(task, b"{}")


def test_a_fork_does_not_speak_on_the_connection_of_its_parent(
    sender: Sender, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = sender.connected_queue().redis.connection
    assert sender.connected_queue().redis.connection is parents
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    assert sender.connected_queue().redis.connection is not parents
    assert sender.connected_queue().push(make_task(), b"{}")


def test_a_caller_whose_broker_is_away_is_told_within_seconds(server: Server) -> None:
    app = make_celery(server.url)
    server.kill()
    began = time.monotonic()
    with pytest.raises(FarmUnavailable, match=r"digits\.generate was not queued: the broker takes no tasks now"):
        submit(app, make_task())
    assert time.monotonic() - began < 60
    app.close()


def submitted(app: Celery, count: int) -> list[Task]:
    tasks = [make_task() for _ in range(count)]
    for task in tasks:
        submit(app, task)
    return tasks


def test_submitting_from_many_threads_loses_nothing(app: Celery, queue: Queue) -> None:
    threads = [in_thread(lambda: submitted(app, 10)) for _ in range(20)]
    for thread in threads:
        thread.join()
    assert queue.depth("large") == 200
