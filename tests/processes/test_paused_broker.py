"""A broker that is stopped (SIGSTOP) and goes on: it then executes all that it was sent meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import spaces
from spaces.errors import FarmUnavailable
from spaces.farm.celery import outbox
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.rules import Rules
from spaces.farm.task import Task
from spaces_workers.broker.embedded import EmbeddedBroker
from tests.harness import Farm
from tests.processes.test_deaths import running
from tests.waiting import PATIENCE, wait_until


def task_of(client: spaces.Farm, function: str, *args: object) -> Task:
    """A call that is not submitted yet, like that of a page, which knows its Space."""
    farm = client._farm
    record = farm.link.find("faults")
    arguments = farm.packer.pack_call(function, None, args, {})
    return farm.task(record, record.function(function), arguments, time_limit=5.0, summary="", visitor="", began=0.0)


@contextmanager
def paused(farm: Farm) -> Iterator[None]:
    """Within it the broker does nothing, and keeps all connections."""
    assert isinstance(farm.broker, EmbeddedBroker)
    pid = farm.broker.server.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_tasks_and_leases_outlast_a_pause_that_is_longer_than_leases(own_farm: Farm) -> None:
    own_farm.start_worker()
    with own_farm.client() as client:
        stream = client.submit("faults", "count", 40, 0.25)
        wait_until(lambda: running(own_farm, stream.id))
        waiting = client.submit("faults", "add", 1, 2)
        with paused(own_farm):
            time.sleep(Rules().worker_lease + 1)
        assert list(stream) == list(range(40))
        assert waiting.result(timeout=PATIENCE) == 3
        state = own_farm.queue.state(stream.id)
        assert state is not None
        assert state.attempt == 1


def test_a_push_gives_up_after_its_time_and_not_after_five_attempts(
    own_farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SOCKET_TIMEOUT", 3.0)
    attempts: list[str] = []
    push = Queue.push

    def counted(self: Queue, task: Task, message: bytes) -> bool:
        attempts.append(task.id)
        return push(self, task, message)

    monkeypatch.setattr(Queue, "push", counted)
    with own_farm.client() as client:
        client.submit("faults", "add", 1, 2)
        task = task_of(client, "add", 1, 2)
        with paused(own_farm), pytest.raises(FarmUnavailable, match="was not queued: the broker takes no tasks now"):
            client._farm.submit(task)
        assert attempts.count(task.id) == 1


def test_a_call_that_was_told_that_it_was_not_queued_never_runs(
    own_farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker executed its push when it went on, and the task ran for nobody."""
    monkeypatch.setattr(outbox, "SOCKET_TIMEOUT", 3.0)
    ran = tmp_path / "ran"
    with own_farm.client() as client:
        first = client.submit("faults", "add", 1, 2)  # on the connection that the next push uses too
        task = task_of(client, "run_ahead", str(ran), 1)
        with paused(own_farm), pytest.raises(FarmUnavailable):
            client._farm.submit(task)
        wait_until(lambda: own_farm.redis.exists(own_farm.queue.keys.withdrawn(task.id)))
        last = client.submit("faults", "add", 3, 4)
        own_farm.start_worker()
        assert (first.result(timeout=PATIENCE), last.result(timeout=PATIENCE)) == (3, 7)
        assert own_farm.queue.depth("large") == 0
    assert not ran.exists()
