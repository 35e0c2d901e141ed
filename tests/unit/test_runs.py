"""The runs of a worker: cancellations reach them in whichever order Celery and the heartbeat hear of a task."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from spaces_workers.worker.run.runs import Runs
from spaces_workers.worker.run.task_run import TaskRun


class StubRun:
    """Remembers why it was stopped."""

    def __init__(self, task_id: str) -> None:
        self.lease = SimpleNamespace(task=SimpleNamespace(id=task_id, label="digits.generate"))
        self.child = None
        self.stops: list[str] = []

    def cancel(self, reason: str) -> None:
        self.stops.append(reason)

    def abandon(self) -> None:
        self.stops.append("abandoned")


def run_of(task_id: str) -> tuple[TaskRun, list[str]]:
    stub = StubRun(task_id)
    return cast(TaskRun, stub), stub.stops


def test_a_task_that_is_cancelled_before_celery_passes_it_on_is_cancelled_when_it_arrives() -> None:
    runs, (run, stops), (other, untouched) = Runs(), run_of("1"), run_of("2")
    runs.cancel("1", "changed my mind")
    runs.add(other)
    runs.add(run)
    assert (stops, untouched) == (["changed my mind"], [])


def test_a_cancellation_reaches_its_run_alone() -> None:
    runs, (run, stops), (other, untouched) = Runs(), run_of("1"), run_of("2")
    runs.add(run)
    runs.add(other)
    runs.cancel("1", "changed my mind")
    assert (stops, untouched) == (["changed my mind"], [])


def test_a_lost_lease_stops_every_run_and_is_no_matter_before_there_are_any() -> None:
    runs, (run, stops), (other, others) = Runs(), run_of("1"), run_of("2")
    runs.abandon_all()
    runs.add(run)
    runs.add(other)
    runs.abandon_all()
    assert (stops, others) == (["abandoned"], ["abandoned"])


def test_a_run_that_is_over_is_counted_and_gone() -> None:
    runs, (run, stops) = Runs(), run_of("1")
    runs.add(run)
    assert runs.in_words() == ["digits.generate (pid -)"]
    runs.remove(run)
    runs.abandon_all()
    assert (runs.all(), runs.in_words(), runs.children(), runs.done, stops) == ([], [], [], 1, [])


@pytest.mark.parametrize("round_", range(50))
def test_a_cancellation_at_the_moment_of_arrival_comes_once(round_: int) -> None:
    runs, (run, stops), barrier = Runs(), run_of("1"), threading.Barrier(2)

    def cancel() -> None:
        barrier.wait()
        runs.cancel("1", "changed my mind")

    thread = threading.Thread(target=cancel)
    thread.start()
    barrier.wait()
    runs.add(run)
    thread.join()
    assert stops == ["changed my mind"]
