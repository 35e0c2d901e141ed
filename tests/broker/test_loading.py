"""What an operator is told who has a Space loaded, and what the farm accepts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spaces.errors import RefusedError
from spaces.farm.celery.celery_app import FarmCelery, make_celery
from spaces.farm.events import Failed, Succeeded
from spaces.farm.links.loading import load, outcome
from spaces.farm.links.retrying import retry
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.control.controls import ControlFault
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import FunctionRecord, Registry, SpaceRecord
from spaces.farm.size import Size
from spaces.farm.task import LOAD, FunctionName

from .support import WORKER, claimed


@pytest.fixture
def app(queue: Queue, broker_url: str) -> Iterator[FarmCelery]:
    queue.leases.beat("gpu0@host:1", WORKER)
    with make_celery(broker_url) as app:
        yield app


def serve(queue: Queue, *sizes: Size) -> None:
    functions = [FunctionRecord(FunctionName("__main__", f"f{size}"), 60.0, size, yields=False) for size in sizes]
    Registry(queue.redis).register(
        SpaceRecord("digits", "v1", "/app.py", "/", True, "host", "/python", False, tuple(functions)), None
    )


def test_a_load_is_a_task_of_the_space_without_a_function(queue: Queue, app: FarmCelery) -> None:
    serve(queue, Size.XLARGE, Size.LARGE)
    task = load(queue, app, "digits", "ada")
    assert (task.function, task.size, task.revision, task.label) == (LOAD, "large", "v1", "digits.<load>")
    assert outcome(queue, task, 0.0) == f"digits is not loaded yet: task {task.id[:8]} goes on"
    queue.end(claimed(queue, "gpu0@host:1").lease, Succeeded(Payload()))
    assert outcome(queue, task, 60.0) == "digits is loaded on gpu0@host"


def test_who_waits_for_a_load_hears_why_it_ended(queue: Queue, app: FarmCelery) -> None:
    serve(queue, Size.LARGE)
    cancelled = load(queue, app, "digits", "ada")
    queue.cancel(cancelled.id, "the operator needs the worker")
    with pytest.raises(ControlFault, match=r"^digits is not loaded: the operator needs the worker$"):
        outcome(queue, cancelled, 60.0)
    failed = load(queue, app, "digits", "ada")
    queue.end(claimed(queue).lease, Failed("DoesNotFit", "Space 'digits' does not fit", ""))
    with pytest.raises(ControlFault, match=r"^digits is not loaded: Space 'digits' does not fit$"):
        outcome(queue, failed, 60.0)
    queue.redis.delete(queue.keys.task(cancelled.id))
    with pytest.raises(RefusedError, match="does not know task"):
        outcome(queue, cancelled, 60.0)


def test_a_load_that_failed_can_be_retried(queue: Queue, app: FarmCelery) -> None:
    serve(queue, Size.LARGE)
    failed = load(queue, app, "digits", "ada")
    queue.end(claimed(queue).lease, Failed("DoesNotFit", "it does not fit", ""))
    assert retry(queue, failed.id, "ada").function == LOAD


def test_a_worker_of_another_size_loads_nothing(queue: Queue, app: FarmCelery) -> None:
    serve(queue, Size.XLARGE)
    with pytest.raises(ControlFault, match="could load digits, of size 'xlarge': none serves this size"):
        load(queue, app, "digits", "ada")


def test_a_space_without_a_gpu_function_is_not_loaded(queue: Queue, app: FarmCelery) -> None:
    serve(queue)
    with pytest.raises(ControlFault, match="digits has registered no GPU function, so it needs no GPU"):
        load(queue, app, "digits", "ada")
