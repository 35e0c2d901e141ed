"""The runs of one worker. Celery's pool adds and removes them. The heartbeat stops them, because it hears of
cancellations and of a lost lease before Celery does, and reports them."""

from __future__ import annotations

import threading

from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.run.busy_time import BusyTime
from spaces_workers.worker.run.task_run import TaskRun


class Runs:
    """The tasks that this worker holds, by id. Callable from any thread; until Celery has started there are none."""

    def __init__(self) -> None:
        self._runs: dict[str, TaskRun] = {}
        self._early: dict[str, str] = {}  #: reasons of cancellations that arrived before Celery passed on their tasks
        self._done = 0
        self._busy = BusyTime()
        self._lock = threading.Lock()

    def add(self, run: TaskRun, after: TaskRun | None = None) -> None:
        """A task has arrived, in the step in which another has ended; it may have been cancelled already."""
        with self._lock:  # else a cancellation at this moment would find neither the run nor be found by it
            self._runs[run.lease.task.id] = run
            if after is not None:
                self._forget(after)
            self._busy.note(bool(self._runs))
            reason = self._early.pop(run.lease.task.id, None)
        if reason is not None:
            run.cancel(reason)

    def remove(self, run: TaskRun) -> None:
        """A task has ended, or is another worker's."""
        with self._lock:
            self._forget(run)
            self._busy.note(bool(self._runs))

    def _forget(self, run: TaskRun) -> None:
        if self._runs.get(run.lease.task.id) is run:
            del self._runs[run.lease.task.id]
            self._early.pop(run.lease.task.id, None)
            self._done += 1

    def cancel(self, task_id: str, reason: str) -> None:
        """Cancel a task, also one that Celery has not passed on yet, for a caller with the right to do so."""
        with self._lock:
            run = self._runs.get(task_id)
            if run is None:
                self._early[task_id] = reason
        if run is not None:
            run.cancel(reason)

    def abandon_all(self) -> None:
        """Abandon all tasks, because this worker's lease has expired and others have them."""
        for run in self.all():
            run.abandon()

    def all(self) -> list[TaskRun]:
        """The current runs. Without the lock, because a signal handler asks while its own thread may hold it."""
        return list(self._runs.values())

    def children(self) -> list[ChildLink]:
        """The children of the current runs."""
        return [run.child for run in self.all() if run.child is not None]

    def in_words(self) -> list[str]:
        """The current runs for people: `digits.generate (pid 4711)`."""
        return [f"{run.lease.task.label} (pid {run.child.pid if run.child else '-'})" for run in self.all()]

    @property
    def busy_seconds(self) -> float:
        """The time in which there were any runs, up to now."""
        return self._busy.seconds

    @property
    def done(self) -> int:
        """The number of runs that are over."""
        return self._done
