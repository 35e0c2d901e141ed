"""Tasks that wait follow each other on a worker: the end of one and the claim of the next are one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import spaces
from spaces.errors import TaskCancelled
from spaces.farm.celery.celery_app import make_celery
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.queue import Queue
from spaces.web.handle import TaskHandle
from tests.harness import Farm
from tests.waiting import PATIENCE, wait_until

#: The events of a task that a worker sends for Flower.
TOLD = ["task-received", "task-started", "task-succeeded"]


@contextmanager
def paused(farm: Farm) -> Iterator[None]:
    """Within this the tasks of the Space wait; then all of them are there at once."""
    controls = Controls(Queue(farm.redis), "an operator")
    controls.pause("faults")
    yield
    controls.resume("faults")


def test_tasks_that_wait_need_no_claim_of_their_own(shared_farm: Farm, client: spaces.Farm) -> None:
    assert client.submit("faults", "add", 0, 0).result(timeout=PATIENCE) == 0
    step = Queue(shared_farm.redis).scripts.get("steps/end_and_claim").sha
    with shared_farm.redis.monitor() as monitor:  # type: ignore[no-untyped-call]  # redis has no types for it
        with paused(shared_farm):
            handles = [client.submit("faults", "add", number, 1) for number in range(6)]
        assert [handle.result(timeout=PATIENCE) for handle in handles] == [1, 2, 3, 4, 5, 6]
        shared_farm.redis.echo("the end of the test")
        commands = list(iter(lambda: monitor.next_command()["command"], "ECHO the end of the test"))
    assert sum(step in command for command in commands if command.startswith("EVALSHA")) >= 5


def test_celery_hears_of_all_that_follow_each_other_in_order(shared_farm: Farm, client: spaces.Farm) -> None:
    told = dict[str, list[str]]()

    def hear(event: dict[str, Any]) -> None:  # Any: Celery's own
        told.setdefault(event["uuid"], []).append(event["type"])

    app = make_celery(shared_farm.broker.url)
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers=dict.fromkeys(TOLD, hear))
        with receiver.consumer_context() as (draining, _, _):
            with suppress(TimeoutError):
                draining.drain_events(timeout=1)  # subscribes
            with paused(shared_farm):
                handles = [client.submit("faults", "add", number, 1) for number in range(20)]
            for handle in handles:
                handle.result(timeout=PATIENCE)

            def all_told() -> bool:
                with suppress(TimeoutError):
                    draining.drain_events(timeout=1)
                return all(len(told.get(handle.id, [])) >= len(TOLD) for handle in handles)

            wait_until(all_told, otherwise=lambda: f"of {told}")
    app.close()
    assert [told[handle.id] for handle in handles] == [TOLD] * len(handles)


def test_a_task_that_follows_in_a_step_can_be_cancelled(shared_farm: Farm, client: spaces.Farm) -> None:
    with paused(shared_farm):
        first = client.submit("faults", "add", 1, 1)
        second = client.submit("faults", "nap", 600)
        third = client.submit("faults", "add", 2, 1)
    assert first.result(timeout=PATIENCE) == 2
    wait_until(lambda: second.state == "running")
    second.cancel()
    with pytest.raises(TaskCancelled):
        second.result(timeout=PATIENCE)
    assert third.result(timeout=PATIENCE) == 3


def test_a_worker_that_shuts_down_takes_no_task_in_the_step_of_its_last(own_farm: Farm, tmp_path: Path) -> None:
    worker = own_farm.start_worker()
    with own_farm.client() as client:
        assert client.submit("faults", "add", 0, 0).result(timeout=PATIENCE) == 0
        running = client.submit("faults", "reversed_when", str(tmp_path / "end"), b"ab")
        wait_until(lambda: running.state == "running")
        waiting: TaskHandle = client.submit("faults", "add", 1, 1)
        worker.terminate()
        wait_until(lambda: "Warm shutdown" in (own_farm.folder / "cpu0.log").read_text())
        (tmp_path / "end").touch()
        assert running.result(timeout=PATIENCE) == b"ba"
        worker.wait(PATIENCE)
        assert waiting.state == "queued"
        own_farm.start_worker()
        assert waiting.result(timeout=PATIENCE) == 2
