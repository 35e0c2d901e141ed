"""The Celery pool of a ZeroFarm worker: each request becomes a `TaskRun` in a child of its Space.

Celery's callbacks are called on its own thread: first accept, then one of success, failure, timeout. The run writes the
task's outcome for its caller; the reports here are for Celery's events and Flower.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated
from celery.concurrency.base import BasePool
from celery.concurrency.prefork import _run_ready_callbacks
from celery.exceptions import Retry
from celery.worker import state

from spaces.farm.celery import here, steps
from spaces.farm.celery.message_form import RUN
from spaces.farm.celery.steps import Step
from spaces.farm.events import Cancelled, Crashed, Expired, Failed, Lost, Succeeded, TimedOut
from spaces.farm.queue.claiming import Claimed
from spaces.farm.task import Lease
from spaces_workers.worker.flower_pool_tab import pool_tab
from spaces_workers.worker.mailbox import Mailbox
from spaces_workers.worker.run.attendants import Work
from spaces_workers.worker.run.run_state import GivenBack, Outcome
from spaces_workers.worker.run.runs import Runs
from spaces_workers.worker.run.task_run import TaskRun
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)

#: Seconds between two checks whether a warm shutdown is over; each waits on the mailbox.
_STOPPING_INTERVAL = 0.5

#: Seconds for a run to requeue its task in a cold shutdown.
_GIVING_BACK = 3.0

#: Characters of a failure and of its traceback in Celery's events; the task's own stream has the whole text.
_TEXT_LENGTH, _TRACEBACK_LENGTH = 300, 4000


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Celery's callbacks for one request. Any: Celery has no types."""

    accept: Callable[..., Any]
    timeout: Callable[..., Any]
    success: Callable[..., Any]
    error: Callable[..., Any]


class TaskPool(BasePool):  # type: ignore[misc]  # celery has no types
    """Runs one task at a time. Celery makes it from a class, so `pool_of` makes a class that knows its worker."""

    workplace: Workplace
    runs: Runs

    signal_safe = False
    uses_semaphore = False
    task_join_will_block = False

    def on_start(self) -> None:
        self._mailbox = Mailbox()
        self._callbacks: dict[str, Callbacks] = {}
        self._begun: dict[str, TaskRun] = {}  #: runs that Celery has not passed on yet
        self._accepted: dict[str, Callable[[], None]] = {}  #: tells Celery that they have begun, once it asks
        here.attend_with(self._begin, self._forsake, lambda: bool(self.runs.all()))
        self._closed = False
        self._hub: Any = None

    def register_with_event_loop(self, hub: Any) -> None:
        self._hub = hub
        self._mailbox.register_with(hub)

    def on_apply(
        self,
        target: Any,  # Any, here and below: Celery's own
        args: Any,
        kwargs: Any,
        accept_callback: Any = None,
        timeout_callback: Any = None,
        callback: Any = None,
        error_callback: Any = None,
        **options: Any,
    ) -> TaskRun:
        lease: Lease = args[2]["properties"]["lease"]
        self._callbacks[lease.task.id] = Callbacks(accept_callback, timeout_callback, callback, error_callback)
        run = self._begun.pop(lease.task.id, None)
        if run is None:
            run = TaskRun(lease, self.workplace, self)
            self._start(run)
        if accept := self._accepted.pop(lease.task.id, None):
            accept()
        return run

    def _start(self, run: TaskRun) -> None:
        self.runs.add(run)
        run.start()

    # --- called by the transport

    def _begin(self, lease: Lease) -> None:
        """Start the run of a task that was claimed, before Celery's accounts, which take longer than many a task."""
        if self._may_begin(lease):
            self._begun[lease.task.id] = run = TaskRun(lease, self.workplace, self)
            self._start(run)

    def _may_begin(self, lease: Lease) -> bool:
        """Whether Celery has no way to keep it from running."""
        return lease.task.id not in state.revoked and self.app.tasks[RUN].rate_limit is None

    def _forsake(self, task: str) -> None:
        """Celery did not pass on this task, and has ended it or given it back."""
        self._accepted.pop(task, None)
        run = self._begun.pop(task, None)
        if run is not None:
            run.abandon()

    # --- called by a run, on its own thread

    def began(self, run: TaskRun) -> None:
        """The child has the task."""
        if run.child is None:
            raise ValueError(f"task {run.lease.task.id} began without a child")
        task, pid, now = run.lease.task.id, run.child.pid, time.monotonic()
        self._accepted[task] = lambda: self._accept(task, pid, now)
        if task not in self._begun and (accept := self._accepted.pop(task, None)):  # else `on_apply` takes it
            self._mailbox.post(accept)

    def step(self) -> Step | None:
        """A step in which a task ends and the next one is claimed, unless the worker is to take no other."""
        return None if _is_stopping() or self.workplace.device_lost else steps.begun()

    def ended(self, run: TaskRun, outcome: Outcome, step: Step | None) -> Work | None:
        """The task's end is written, or the task is requeued. The task that was claimed in the same step begins."""
        try:
            return self._following(run, step.found) if step is not None and step.found is not None else None
        finally:
            self._mailbox.post(lambda: self._settle(run, outcome, step))

    def _following(self, run: TaskRun, found: Claimed) -> Work | None:
        if not self._may_begin(found.lease):
            return None
        self._begun[found.lease.task.id] = following = TaskRun(found.lease, self.workplace, self)
        self.runs.add(following, after=run)
        if state.should_terminate:  # `on_terminate` may not have seen it
            following.give_back()
        return following.begin()

    # --- called by Celery

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Revoke the task that runs in this child, for an operator."""
        for run in self.runs.all():
            if run.child is not None and run.child.pid == pid:
                run.cancel("revoked by an operator")

    def on_stop(self) -> None:
        """A warm shutdown: wait for running tasks, acknowledge ended ones. A cold one: see `on_terminate`."""
        if state.should_terminate:
            # Celery calls this in a signal handler, and the interrupted code may hold Celery's locks.
            self.on_terminate()
            return
        while self.runs.all():
            self._mailbox.wait(_STOPPING_INTERVAL)
            if self._hub is not None:
                self._hub.fire_timers()
                _run_ready_callbacks(self._hub)
        self._close()

    def on_terminate(self) -> None:
        """A cold shutdown: running tasks return to the queue, for other workers."""
        for run in self.runs.all():
            run.give_back()
        for run in self.runs.all():
            run.join(_GIVING_BACK)
        self._close()

    def _get_info(self) -> dict[str, Any]:  # Any: shown as it is on Flower's Pool tab
        tab = pool_tab(self.workplace.device, self.runs, self.workplace.residency.children())
        return super()._get_info() | tab | {"max-concurrency": self.limit}  # type: ignore[no-any-return] # celery has no types

    @property
    def num_processes(self) -> int:
        return int(self.limit)

    def _accept(self, task: str, pid: int, now: float) -> None:
        callbacks = self._callbacks.get(task)
        if callbacks is not None:
            callbacks.accept(pid, now)

    def _settle(self, run: TaskRun, outcome: Outcome, step: Step | None) -> None:
        try:
            self._tell(run, outcome)
        finally:
            if step is not None and step.found is not None:
                self._pass_on(step, step.found.lease.task.id)
            elif step is not None:
                step.finish()

    def _pass_on(self, step: Step, task: str) -> None:
        """Have the channel give Celery the task that came with a step. Without a channel it runs on, unheard of."""
        if step.finish():
            return
        if self._begun.pop(task, None) is None:
            here.over(task)  # it has not begun; the next claim hands it over again
        else:
            here.unheard(task)

    def _tell(self, run: TaskRun, outcome: Outcome) -> None:
        self.runs.remove(run)
        callbacks = self._callbacks.pop(run.lease.task.id, None)
        self._accepted.pop(run.lease.task.id, None)
        if callbacks is None:  # it was forsaken, or never told to Celery
            here.over(run.lease.task.id)
            return
        if run.is_settled:
            here.settled(run.lease)
        match outcome:
            case Succeeded(seconds=seconds):
                callbacks.success((False, "", seconds))
            case Failed(type_name, text, traceback, seconds=seconds):
                callbacks.success((True, _failure(f"{type_name}: {text}", traceback), seconds))
            case TimedOut(seconds, limit, hung_for):
                what = "hung and was stopped" if hung_for else "stopped"
                text = f"TimeLimitExceeded: {what} after {seconds:.0f} s, it asked for {limit:g} s"
                callbacks.success((True, _failure(text), seconds))
            case Crashed(reason, seconds):
                callbacks.success((True, _failure(f"ChildCrashed: its process {reason}"), seconds))
            case Cancelled(reason):
                callbacks.error(_info(Terminated(reason)))
            case GivenBack(reason):
                callbacks.error(_info(Retry(exc=Reported(reason))))
            case Expired() | Lost():
                raise ValueError(f"this end cannot come from a worker's own run: {outcome}")

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.workplace.close()
        self._mailbox.close()


def pool_of(workplace: Workplace, runs: Runs) -> type[TaskPool]:
    """The pool of one worker, for Celery's setting `worker_pool`."""
    return type("TaskPool", (TaskPool,), {"workplace": workplace, "runs": runs})


class Reported(Exception):
    """A failure for Celery's events, which contain the `repr` of the exception; here that is a plain sentence."""

    def __repr__(self) -> str:
        return str(self)


def _is_stopping() -> bool:
    """Whether Celery was told to shut down. Its flags then have an exit code, which may be 0."""
    return any(code is not None and code is not False for code in (state.should_stop, state.should_terminate))


def _failure(text: str, traceback: str = "") -> ExceptionInfo:
    """The failure of a task for Celery, with the child's traceback, or none."""
    info = _info(Reported(text if len(text) <= _TEXT_LENGTH else f"{text[:_TEXT_LENGTH]}…"))
    info.traceback = traceback[-_TRACEBACK_LENGTH:] or None
    return info


def _info(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except Exception:
        info = ExceptionInfo()
    # billiard wraps it for a pipe that this pool does not have, and Celery would show the wrapper.
    info.exception = error
    return info
