"""One task on this worker, from its lease to its end: gets a child, passes on its events, ends it exactly once.

Each run has its own thread, so that neither a slow zygote nor an absent broker stops the worker's event loop.
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

#: Seconds for a generator to close at its next yield before its child is killed.
CLOSE_GRACE = 5.0

#: Seconds for a child to get ready for its next task, while threads of the last one still run.
SETTLE_PATIENCE = 10.0

#: The name of torch's error for a full GPU.
_SHORTAGE = "OutOfMemoryError"

#: Texts in an error after which a CUDA context cannot be trusted any more.
_HARM = ("CUDA error", "AcceleratorError", _SHORTAGE, "cuDNN error", "CUBLAS_STATUS", "device-side assert")


class Report(Protocol):
    """Receives the progress of a run: the pool, on behalf of Celery."""

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
        self._spoke = False  #: the child reported how the task ended
        self._verdict: End | None = None  #: decided by another thread; overrides a later report of the child
        self._last: End | None = None  #: how the child said that the task ended
        self._lock = threading.Lock()
        self._writer = workplace.writer(lease)
        self._deadline = Deadline(lease.task.time_limit, Steps(self._warn, self._time_out, self._kill, self._look))
        self._thread = threading.Thread(target=self._attend, name=lease.task.label, daemon=True)

    def start(self) -> None:
        """Start the run; `report.ended` is called exactly once, on the run's own thread."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the end, at most `timeout` seconds."""
        self._thread.join(timeout)

    def cancel(self, reason: str) -> None:
        """Stop the task: close its generator at the next yield, or kill its child."""
        if not self._decide(Cancelled(reason)):
            return
        if self.lease.task.yields:
            self._close_generator()
        else:
            self._kill()

    def abandon(self) -> None:
        """Kill the task without writing an end, because another worker has its lease."""
        self._decide(Cancelled("another worker holds its lease"))
        self._kill()

    def give_back(self) -> None:
        """Kill the task and requeue it, in a cold shutdown."""
        self._returned = True
        self._decide(Cancelled("its worker was stopped"))
        self._kill()

    # Celery calls this through a weak reference, for a task that is revoked before its start.
    def terminate(self, signal: int) -> None:
        self.cancel(f"revoked by an operator (signal {signal})")

    # --- on the run's thread

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
        """The end of a task whose child could not take the device; if the device is at fault, the task is requeued."""
        end = _failure(error, str(error))
        if self._workplace.lost_device():
            self._returned = True
        return end

    def _converse(self) -> End:
        """Start the function in the child, pass on its events, and return the end that it reports."""
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
                self._last = event
                with self._lock:
                    self._spoke = True
                return event
            if not self._writer.write([event]):
                self._workplace.carrier.discard_value_of(event)

    def _finish(self, end: End) -> None:
        """End the run; every run ends here."""
        self._deadline.stop()
        task, seconds = self.lease.task, self._seconds
        try:
            self._tell(end)
            self._workplace.carrier.forget(self._arguments, task.arguments)
        except Exception:  # the lease then expires, and another worker takes the task
            logger.exception("task %s: its end could not be written", task.id)
        try:
            self._put_child_away(end)
        except Exception:
            logger.exception("task %s: its child could not be kept or ended", task.id)
        logger.info("task %s: %s %s after %.2f s", task.id, task.label, state_after(end), seconds)
        self._report.ended(self, end)

    def _tell(self, end: End) -> None:
        if self._returned:
            ended = self._workplace.queue.release(self.lease)
        elif not (ended := self._writer.end(end)):
            logger.warning("task %s: its lease was lost; another worker ends it", self.lease.task.id)
        if self._last is not None and (self._last is not end or not ended):
            self._workplace.carrier.discard_value_of(self._last)
        self._workplace.clear(self.lease.task, ended)

    def _put_child_away(self, end: End) -> None:
        """Keep a child that is fit for another task; kill any other."""
        with (
            self._lock
        ):  # a late request to stop this task must not touch the child, which may have another task by then
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
        """Receive the child's messages after its task. Returns whether it is fit for the next one."""
        try:
            message = child.channel.receive(timeout=SETTLE_PATIENCE)
        except (ChannelClosed, TimeoutError):
            return False
        if not isinstance(message, Idle):
            return False
        child.memory = message.memory
        return message.clean

    # --- called by other threads

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
        # On its own thread: an absent broker may delay the warning, but never the limit.
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

    def _look(self) -> None:
        if self.child is not None:
            self.child.look()

    def _time_out(self) -> None:
        hung_for = self.child.hung_for() if self.child is not None else 0.0
        if self._decide(TimedOut(self._seconds, self.lease.task.time_limit, hung_for)):
            with self._running_child() as child:
                if child is not None:
                    child.terminate(hung_for)

    def _kill(self) -> None:
        with self._running_child() as child:
            if child is not None:
                child.kill()

    @contextmanager
    def _running_child(self) -> Iterator[ChildLink | None]:
        """The child while it runs this task; None before it gets the task, and after it reported the end."""
        with self._lock:
            yield self.child if self._ran and not self._spoke and not self._put_away else None

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self.started


def _in_a_line(text: str) -> str:
    """The first line, and the last line of the traceback below it, which has the reason."""
    first, *others = text.strip().splitlines() or [""]
    return f"{first}: {others[-1]}" if others else first


def _failure(error: Exception, text: str) -> Failed:
    return Failed(f"{type(error).__module__}.{type(error).__qualname__}", text, "")


def _harmless(end: End) -> bool:
    """Whether the child can run another task after this end."""
    match end:
        case Succeeded() | Cancelled():
            return True
        case Failed(type_name, text):
            return not any(sign in f"{type_name} {text}" for sign in _HARM)
        case _:
            return False
