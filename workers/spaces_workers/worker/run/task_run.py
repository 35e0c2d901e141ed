"""One task on this worker, from its lease to its end: gets a child, passes on its events, ends it exactly once.

Each run has a thread to itself, so that neither a slow zygote nor an absent broker stops the worker's event loop. A
warm child gets its task before that thread takes over. `run_state.py` draws the states of a run and says who may move
them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from spaces.farm.celery.steps import Step
from spaces.farm.events import Cancelled, Crashed, Succeeded, TimedOut, is_end
from spaces.farm.payloads.payload import Payload, blobs_of
from spaces.farm.task import LOAD, Lease
from spaces.farm.traces import task_traces
from spaces_workers.link.messages import Idle, RunTask
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.run.after_task import is_settled, put_away
from spaces_workers.worker.run.attendants import Work
from spaces_workers.worker.run.child_events import arrived_together, event_of_child
from spaces_workers.worker.run.deadline import Deadline, Steps
from spaces_workers.worker.run.ending import Spans, write_outcome
from spaces_workers.worker.run.failures import LEASE_LOST, verdict_on
from spaces_workers.worker.run.limit_warning import warn_of_limit
from spaces_workers.worker.run.pace import Pace
from spaces_workers.worker.run.run_state import (
    GivenBack,
    Outcome,
    Over,
    Preparing,
    RunState,
    TryAgain,
    Verdict,
    in_words,
)
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)

#: Seconds for a generator to close at its next yield before its child is killed.
CLOSE_GRACE = 5.0


class Report(Protocol):
    """Receives the progress of a run: the pool, on behalf of Celery."""

    def began(self, run: TaskRun) -> None: ...
    def step(self) -> Step | None: ...
    def ended(self, run: TaskRun, outcome: Outcome, step: Step | None) -> Work | None: ...


class TaskRun:
    """A task while this worker holds its lease."""

    def __init__(self, lease: Lease, workplace: Workplace, report: Report) -> None:
        self.lease = lease
        self.child: ChildLink | None = None
        self._leased = self._started = time.monotonic()
        self._arguments = lease.task.arguments
        self._workplace = workplace
        self._report = report
        self._state = RunState()
        self._writer = workplace.writer(lease)
        steps = Steps(self._warn, self._time_out, self._kill, self._look)
        self._deadline = Deadline(lease.task.time_limit, steps, workplace.alarms)
        self._done = threading.Event()
        self._is_put_away = False
        self.is_settled = False  #: the broker knows the outcome, or has given the task to another worker

    def start(self) -> None:
        """Start the run; `report.ended` is called exactly once, on the run's own thread.

        Does not block: a warm child gets the task at once, all else happens on the run's own thread.
        """
        self._workplace.attendants.give(self.begin())

    def begin(self) -> Work:
        """Like `start`, but return what is to be done on the run's own thread."""
        error: Exception | None = None
        try:
            self._begin_if_warm()
        except Exception as raised:
            error = raised
        return lambda: self._attend(error)

    def join(self, timeout: float) -> None:
        """Wait for the end, at most `timeout` seconds."""
        self._done.wait(timeout)

    # --- called by other threads

    def cancel(self, reason: str) -> None:
        """Stop the task: close its generator at the next yield, or kill its child."""
        if not self._stop(Cancelled(reason)):
            return
        if self.lease.task.yields:
            self._close_generator()
        else:
            self._kill()

    def abandon(self) -> None:
        """Kill the task without writing an end, because another worker has its lease."""
        self._stop(LEASE_LOST)
        self._kill()

    def give_back(self) -> None:
        """Kill the task and requeue it, in a cold shutdown."""
        self._stop(GivenBack("its worker was stopped"))
        self._kill()

    # Celery calls this through a weak reference, for a task that is revoked before its start.
    def terminate(self, signal: int) -> None:
        self.cancel(f"revoked by an operator (signal {signal})")

    def _stop(self, verdict: Verdict) -> bool:
        decided = self._state.stop(verdict)
        if decided:
            self._writer.stop()
        return decided

    def _look(self) -> None:
        if self.child is not None:
            self.child.look()

    def _time_out(self) -> None:
        hung_for = self.child.hung_for() if self.child is not None else 0.0
        if self._stop(TimedOut(self._seconds, self.lease.task.time_limit, hung_for)):
            self._state.with_child(lambda child: child.terminate(hung_for))

    def _kill(self) -> None:
        self._state.with_child(ChildLink.kill)

    def _close_generator(self) -> None:
        if self._state.with_child(ChildLink.close_generator):
            timer = threading.Timer(CLOSE_GRACE, self._kill)
            timer.daemon = True
            timer.start()

    def _warn(self) -> None:
        warn_of_limit(self._workplace.queue, self.lease, self._seconds)

    # --- on the run's thread

    def _attend(self, error: Exception | None) -> Work | None:
        try:
            if error is not None:
                raise error
            self._converse()
        except Exception as raised:
            self._state.fail(verdict_on(raised, self._state.now, self.lease.task, self._workplace, self._seconds))
        try:
            return self._finish()
        finally:
            self._done.set()

    def _begin_if_warm(self) -> None:
        """Give the task to its child if that takes no time: it is warm, has room, and the arguments are here."""
        task = self.lease.task
        if task.function == LOAD:
            return
        if next(blobs_of(task.arguments), None) is None and (child := self._workplace.ready_child_for(task)):
            self._begin(child)

    def _begin(self, child: ChildLink) -> None:
        """Give the task to a child, unless it was stopped."""
        task, carrier = self.lease.task, self._workplace.carrier
        self.child = child
        if task.function == LOAD:
            self._report.began(self)
            self._state.fail(Succeeded(Payload()))
            return
        self._arguments = arguments = carrier.fetched(task.arguments, task.space)
        self._started = time.monotonic()
        if self._state.begin(child, self._order(arguments)):
            self._deadline.start()
            self._report.began(self)

    def _order(self, arguments: Payload) -> RunTask:
        task = self.lease.task
        span = task_traces.span_of_function(task, self.lease.attempt)
        return RunTask(task.id, task.label, task.function, arguments, self._workplace.carrier.is_far(task), span)

    def _converse(self) -> None:
        """Give the task to a child, unless it has it or was stopped, and pass on events until that reports an end."""
        if isinstance(self._state.now, Preparing):
            self._begin(self._workplace.child_for(self.lease.task))
        if self.child is not None and not isinstance(self._state.now, Over):
            self._listen(self.child)

    def _listen(self, child: ChildLink) -> None:
        pace = Pace(self._writer.pause)
        while True:
            most = min(pace.most, self._writer.room)
            arrived = arrived_together(child.channel, most)
            self._pass_on(arrived.events)
            match arrived.last:
                case None:
                    pace.wrote(len(arrived.events), most)
                case Idle():
                    self._state.fail(Crashed("did not say how the function ended", self._seconds))
                    return
                case last if is_end(event := event_of_child(last)):
                    self._state.hear(self._workplace.carrier.delivered(event, self.lease.task))
                    return

    def _pass_on(self, messages: Sequence[object]) -> None:
        """Write events of the function together."""
        carrier = self._workplace.carrier
        events = [carrier.delivered(event_of_child(message), self.lease.task) for message in messages]
        written = False
        try:
            written = not events or self._writer.write(events)
        finally:
            for event in events if not written else ():
                carrier.discard_value_of(event)

    def _finish(self) -> Work | None:
        """End the run; every run ends here. Returns the work on the next one, if its task was claimed meanwhile."""
        over, task, seconds = self._state.now, self.lease.task, self._seconds
        if not isinstance(over, Over):
            raise RuntimeError(f"task {task.id} is finished while it is {type(over).__name__}")
        self._deadline.stop()
        step = self._step(over)
        outcome = over.verdict.end if isinstance(over.verdict, TryAgain) else over.verdict
        try:
            outcome = write_outcome(over, self.lease, self._writer, self._workplace, self._spans(seconds), step)
            self.is_settled = True
            self._workplace.carrier.forget(self._arguments, task.arguments)
        except Exception:  # the lease then expires, and another worker takes the task
            logger.exception("task %s: its end could not be written", task.id)
        self._put_away(over)
        following = self._report.ended(self, outcome, step)
        logger.info("task %s: %s %s after %.2f s", task.id, task.label, in_words(outcome), seconds)
        return following

    def _step(self, over: Over) -> Step | None:
        """A step, if the child can have another task already."""
        if self.child is None or not is_settled(self.child, over):
            return None
        self._put_away(over)
        return self._report.step()

    def _put_away(self, over: Over) -> None:
        """Keep or end the child, once."""
        if self.child is None or self._is_put_away:
            return
        self._is_put_away = True
        try:
            put_away(self.child, over, self._workplace)
        except Exception:
            logger.exception("task %s: its child could not be kept or ended", self.lease.task.id)

    def _spans(self, seconds: float) -> Spans:
        return Spans(self._started - self._leased, seconds)

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started
