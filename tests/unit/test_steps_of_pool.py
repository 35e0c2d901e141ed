"""The pool takes no further task in a step once a shutdown was asked for, and gives back one that came meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery.worker import state

from spaces.farm.celery import steps
from spaces.farm.celery.steps import Step
from spaces.farm.queue.claiming import Claimed
from spaces.farm.task import Lease
from spaces_workers.worker import pool as pool_module
from spaces_workers.worker.pool import TaskPool
from spaces_workers.worker.run.runs import Runs
from spaces_workers.worker.run.task_run import TaskRun
from tests.broker.support import make_task

STEP = cast(Step, object())


@pytest.mark.parametrize("asked", ["should_stop", "should_terminate"])
@pytest.mark.parametrize("exit_code", [0, 1, True])
def test_no_step_begins_once_a_shutdown_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: str, exit_code: int
) -> None:
    """Celery notes the exit code, which is 0 for a warm one."""
    pool: Any = SimpleNamespace(workplace=SimpleNamespace(device_lost=False))  # Any: what `step` asks of a pool
    monkeypatch.setattr(steps, "begun", lambda: STEP)
    assert TaskPool.step(pool) is STEP
    monkeypatch.setattr(state, asked, exit_code)
    assert TaskPool.step(pool) is None


class StubRun:
    """Remembers what was done with it, in order."""

    def __init__(self, lease: Lease, *_: object) -> None:
        self.lease = lease
        self.done: list[str] = []

    def give_back(self) -> None:
        self.done.append("given back")

    def begin(self) -> None:
        self.done.append("begun")


@pytest.mark.parametrize(("terminates", "done"), [(None, ["begun"]), (True, ["given back", "begun"])])
def test_a_task_that_was_claimed_while_the_worker_was_terminated_is_given_back(
    monkeypatch: pytest.MonkeyPatch, terminates: bool | None, done: list[str]
) -> None:
    """The shutdown has given back all runs before this one was among them."""
    monkeypatch.setattr(pool_module, "TaskRun", StubRun)
    monkeypatch.setattr(state, "should_terminate", terminates)
    runs, last, found = Runs(), StubRun(Lease(make_task(), "w1", 1)), Lease(make_task(), "w1", 1)
    runs.add(cast(TaskRun, last))
    pool: Any = SimpleNamespace(workplace=None, runs=runs, _begun={}, _may_begin=lambda _: True)  # Any: as above
    TaskPool._following(pool, cast(TaskRun, last), Claimed(found, b"", "large"))
    (following,) = runs.all()
    assert (following.lease, cast(StubRun, following).done) == (found, done)
