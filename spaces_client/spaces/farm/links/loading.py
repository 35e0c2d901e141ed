"""Loads a Space on a GPU before anybody calls it, for an operator: by a task of the Space that runs no function.

So it takes its turn, makes room and outlives a worker like any other task. The operator's page calls this too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from spaces.farm import wire
from spaces.farm.celery.message_form import MessageForm
from spaces.farm.events import Event, Failed, Succeeded
from spaces.farm.farm_status import ON_DEVICE, FarmStatus, WorkerStatus
from spaces.farm.links.recorded_push import push_recorded
from spaces.farm.page_addresses import Pages
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.control.audit import Action
from spaces.farm.queue.control.controls import ControlFault
from spaces.farm.queue.counters.history import in_words
from spaces.farm.queue.registry import Registry, SpaceRecord
from spaces.farm.queue.status import StatusReader
from spaces.farm.size import Size
from spaces.farm.task import LOAD, State, Task, unknown_task
from spaces.farm.version import VERSION

if TYPE_CHECKING:
    from celery import Celery

    from spaces.farm.queue.queue import Queue

#: Seconds that a load is expected to take; others rank by it meanwhile.
ESTIMATE = 10.0

#: Seconds between two looks at a load.
INTERVAL = 0.1


def load(queue: Queue, app: Celery, space: str, by: str) -> Task:
    """Have an idle worker load a Space, and return the task that does it.

    Raises ControlFault if the Space is on a GPU already, or no worker could load it now; RefusedError; redis's errors.
    """
    record = Registry(queue.redis, queue.keys).find(space)
    status = StatusReader(queue).read(Pages())
    _check(status, record)
    task = Task(
        space=space,
        function=LOAD,
        arguments=Payload(),
        revision=record.revision,
        size=_size_of(record),
        estimate=ESTIMATE,
        time_limit=ESTIMATE,
        version=VERSION,
    )
    push_recorded(queue, task, MessageForm.of(app, task).message(task), Action(by, "load", space, f"as task {task.id}"))
    return task


def outcome(queue: Queue, task: Task, patience: float) -> str:
    """A sentence that says where the Space is loaded, or after `patience` seconds, that it is not yet.

    Raises ControlFault if it was not loaded, RefusedError, redis's errors.
    """
    deadline = time.monotonic() + patience
    while (state := queue.state(task.id)) is not None and not state.state.final:
        if time.monotonic() > deadline:
            return f"{task.space} is not loaded yet: task {task.id[:8]} goes on"
        time.sleep(INTERVAL)
    if state is None:
        raise unknown_task(task.id, queue.rules.limits.outcome_lifetime)
    end = _last_event(queue, task)
    if isinstance(end, Succeeded):
        return f"{task.space} is loaded on {state.worker.partition(':')[0]}"
    raise ControlFault(f"{task.space} is not loaded: {_reason(end)}")


def _check(status: FarmStatus, record: SpaceRecord) -> None:
    space, size = record.name, _size_of(record)
    for worker in status.workers:
        if any(each.space == space and each.level == ON_DEVICE for each in worker.residents):
            raise ControlFault(f"{space} is on {worker.name} already")
    if any(each.name == space and each.terms.paused for each in status.spaces):
        raise ControlFault(f"{space} is paused: `zerofarm resume {space}` first")
    serving = [worker for worker in status.workers if size in worker.sizes]
    running = {task.worker: task.label for task in status.tasks if task.state == State.RUNNING}
    if not any(worker.name not in running and not worker.drained for worker in serving):
        busy = "; ".join(_occupied(serving, running)) or "none serves this size"
        raise ControlFault(f"no worker is idle that could load {space}, of size {str(size)!r}: {busy}. Try again later")


def _occupied(workers: Sequence[WorkerStatus], running: Mapping[str, str]) -> Iterator[str]:
    for worker in workers:
        yield f"{worker.name} {'runs ' + running[worker.name] if worker.name in running else 'is drained'}"


def _size_of(record: SpaceRecord) -> str:
    """The least that one of its functions needs. Raises ControlFault for a Space without any."""
    sizes = {function.size for function in record.functions}
    if not sizes:
        raise ControlFault(f"{record.name} has registered no GPU function, so it needs no GPU")
    return next(size for size in Size if size in sizes)


def _last_event(queue: Queue, task: Task) -> Event:
    found = queue.redis.xrevrange(queue.keys.events(task.id), count=1)
    [(_, fields)] = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
    return cast("Event", wire.unpack(fields[b"e"]))


def _reason(end: Event) -> str:
    """In a line; of a script that failed, the last line of its traceback says why."""
    if not isinstance(end, Failed):
        return in_words(end)
    first, *others = end.text.strip().splitlines() or [end.type_name]
    return f"{first} {others[-1].strip()}" if others else first
