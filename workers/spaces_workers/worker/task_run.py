"""One task on this worker, from its lease to its end: get a child, pass its events on, end it exactly once.

A thread of its own attends each run, so that neither a slow zygote nor an absent broker stops the worker's event loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from spaces.errors import SpacesError
from spaces.farm.broker_errors import AWAY
from spaces.farm.events import (
    Cancelled,
    Crashed,
    End,
    Failed,
    Said,
    Succeeded,
    TimedOut,
    is_end,
    state_after,
)
from spaces.farm.queue.queue import LeaseLost
from spaces.farm.task import Lease
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.link.messages import Close, Idle, RunTask
from spaces_workers.worker.child_link import ChildLink, UnfitChild
from spaces_workers.worker.deadline import Deadline, Steps
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)

#: Seconds that a generator has to close at its next yield before its child is killed.
CLOSE_GRACE = 5.0

#: Seconds that a child may take to get ready for the next task, waiting for what the last one left running.
SETTLE_PATIENCE = 10.0

#: What torch's error of a GPU that is full is called.
_SHORTAGE = "OutOfMemoryError"

#: Words in an error after which a CUDA context cannot be trusted any more.
_HARM = ("CUDA error", "AcceleratorError", _SHORTAGE, "cuDNN error", "CUBLAS_STATUS", "device-side assert")


class Report(Protocol):
    """Whoever wants to know how a run goes: the pool, on behalf of Celery."""

    def began(self, run: TaskRun) -> None: ...
    def ended(self, run: TaskRun, end: End) -> None: ...


class TaskRun:
    """A task while this worker holds its lease."""

    def __init__(self, lease: Lease, workplace: Workplace, report: Report) -> None:
        self.lease = lease
        self.child: ChildLink | None = None
        self.started = time.monotonic()
        self._arguments = lease.task.arguments
        self._workplace = workplace
        self._report = report
        self._returned = False  #: the task goes back to the queue
        self._put_away = False  #: the child is no longer this task's
        self._ran = False  #: the child was given the task
        self._spoke = False  #: the child said how the task ended
        self._verdict: End | None = None  #: decided from outside; outweighs whatever the child says after it
        self._lock = threading.Lock()
        self._writer = workplace.writer(lease)
        self._deadline = Deadline(lease.task.time_limit, Steps(self._warn, self._time_out, self._kill))
        self._thread = threading.Thread(target=self._attend, name=lease.task.label, daemon=True)

    def start(self) -> None:
        """Begin; `report.ended` is called exactly once, from the run's own thread."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the end, but no longer than `timeout` seconds."""
        self._thread.join(timeout)

    def cancel(self, reason: str) -> None:
        """Stop the task: its generator at the next yield, else its child."""
        if not self._decide(Cancelled(reason)):
            return
        if self.lease.task.yields:
            self._close_generator()
        else:
            self._kill()

    def abandon(self) -> None:
        """The lease is another worker's now: kill what runs, say nothing."""
        self._decide(Cancelled("another worker holds its lease"))
        self._kill()

    def give_back(self) -> None:
        """A cold shutdown: kill what runs and let another worker have the task."""
        self._returned = True
        self._decide(Cancelled("its worker was stopped"))
        self._kill()

    # Called by Celery through a weak reference, for a task that is revoked before it began.
    def terminate(self, signal: int) -> None:
        self.cancel(f"revoked by an operator (signal {signal})")

    # --- the attending thread

    def _attend(self) -> None:
        try:
            end: End = self._converse()
        except ChannelClosed:
            end = Crashed(self.child.how_it_ended() if self.child else "could not be made", self._seconds)
        except LeaseLost:
            end = Cancelled("another worker holds its lease")
        except UnfitChild as error:
            end = self._blamed(error)
        except SpacesError as error:
            logger.warning("task %s: %s", self.lease.task.id, _in_a_line(str(error)))
            end = _failure(error, str(error))
        except Exception as error:
            logger.exception("task %s: the worker failed", self.lease.task.id)
            end = _failure(error, f"the worker failed: {error}")
        self._finish(self._verdict or end)

    def _blamed(self, error: UnfitChild) -> End:
        """Whether a child's failure to take the device is its Space's; else the task is another worker's."""
        end = _failure(error, str(error))
        if self._workplace.lost_device():
            self._returned = True
        return end

    def _converse(self) -> End:
        """Have the function run, pass on what it says, and return how it says it ended."""
        task = self.lease.task
        self.child = child = self._workplace.child_for(task)
        self._arguments = arguments = self._workplace.carrier.fetched(task.arguments)
        with self._lock:
            if self._verdict is not None:
                return self._verdict
            self.started = time.monotonic()
            self._ran = True
            child.begin(RunTask(task.id, task.label, task.function, arguments, self._workplace.carrier.is_far(task)))
        self._deadline.start()
        self._report.began(self)
        while True:
            message = child.channel.receive()
            if isinstance(message, Idle):
                return Crashed("did not say how the function ended", self._seconds)
            event = self._workplace.carrier.delivered(message, task)
            if is_end(event):
                with self._lock:
                    self._spoke = True
                return event
            self._writer.write([event])

    def _finish(self, end: End) -> None:
        """The one end of a run, whatever became of it."""
        self._deadline.stop()
        task, seconds = self.lease.task, self._seconds
        try:
            self._tell(end)
            self._workplace.carrier.forget(self._arguments, task.arguments)
        except Exception:  # the lease expires then, and the task is another worker's
            logger.exception("task %s: its end could not be told", task.id)
        try:
            self._put_child_away(end)
        except Exception:
            logger.exception("task %s: its child could not be put away", task.id)
        logger.info("task %s: %s %s after %.2f s", task.id, task.label, state_after(end), seconds)
        self._report.ended(self, end)

    def _tell(self, end: End) -> None:
        if self._returned:
            self._workplace.queue.release(self.lease)
        elif not self._writer.end(end):
            logger.warning("task %s: its lease was lost; its end is another worker's to tell", self.lease.task.id)

    def _put_child_away(self, end: End) -> None:
        """Keep a child that is as good as new; end one that may not be."""
        with self._lock:  # from here on whoever is late to stop this task must not touch the child: it may have another
            self._put_away = True
            child = self.child
        if child is None:
            return
        if isinstance(end, Failed) and _SHORTAGE in end.type_name:
            self._workplace.residency.learn_shortage(child.spec)
        if not self._ran or (self._spoke and _harmless(end) and self._settle(child)):
            child.tasks_done += self._ran
            self._workplace.residency.keep(child)
        else:
            child.discard()

    def _settle(self, child: ChildLink) -> bool:
        """Hear what the child has to say when its task is over. Whether it is fit for the next one."""
        try:
            message = child.channel.receive(timeout=SETTLE_PATIENCE)
        except (ChannelClosed, TimeoutError):
            return False
        if not isinstance(message, Idle):
            return False
        child.memory = message.memory
        return message.clean

    # --- what others decide

    def _decide(self, verdict: End) -> bool:
        with self._lock:
            if self._spoke or self._verdict is not None:
                return False
            self._verdict = verdict
        self._writer.stop()
        return True

    def _warn(self) -> None:
        limit = self.lease.task.time_limit
        text = f"{self.lease.task.function} has used {self._seconds:.0f} of its {limit:g} s and is stopped after them"
        said = Said(text, "warning", "ZeroGPU duration")
        # On a thread of its own: an absent broker may hold up the word, never the limit.
        threading.Thread(target=self._say, args=(said,), daemon=True).start()

    def _say(self, said: Said) -> None:
        try:
            self._workplace.queue.append(self.lease, [said])
        except (LeaseLost, *AWAY) as error:
            logger.debug("task %s: a warning was not delivered: %s", self.lease.task.id, error)

    def _close_generator(self) -> None:
        with self._running_child() as child:
            if child is None:
                return
            try:
                child.channel.send(Close())
            except ChannelClosed:
                return
        timer = threading.Timer(CLOSE_GRACE, self._kill)
        timer.daemon = True
        timer.start()

    def _time_out(self) -> None:
        if self._decide(TimedOut(self._seconds, self.lease.task.time_limit)):
            with self._running_child() as child:
                if child is not None:
                    child.terminate()

    def _kill(self) -> None:
        with self._running_child() as child:
            if child is not None:
                child.kill()

    @contextmanager
    def _running_child(self) -> Iterator[ChildLink | None]:
        """The child while it is this task's; None before it was given the task, and after it said the end."""
        with self._lock:
            yield self.child if self._ran and not self._spoke and not self._put_away else None

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.started


def _in_a_line(text: str) -> str:
    """What failed, and the last line of the traceback below it, which says why."""
    first, *others = text.strip().splitlines() or [""]
    return f"{first}: {others[-1]}" if others else first


def _failure(error: Exception, text: str) -> Failed:
    return Failed(f"{type(error).__module__}.{type(error).__qualname__}", text, "")


def _harmless(end: End) -> bool:
    """Whether what happened leaves the process as good as before."""
    match end:
        case Succeeded() | Cancelled():
            return True
        case Failed(type_name, text):
            return not any(sign in f"{type_name} {text}" for sign in _HARM)
        case _:
            return False
