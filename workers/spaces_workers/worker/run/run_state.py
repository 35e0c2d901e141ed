"""The state of a run, under one lock: the run's own thread advances it, any other thread may decide the verdict.

                 begin                  hear
    Preparing ──────────> Running ─────────────────┐
        │                    │                     │
        │                    │ stop                │
        │                    v       hear, fail    v
        │                 Stopping ────────────> Over
        │ stop, fail                               ^
        └──────────────────────────────────────────┘   Running ── fail ──> Over

The run's own thread calls `begin`, `hear` and `fail`: the child gets the task, reports its end, or never will. If the
child is warm, the worker's main thread has called `begin` before. Other threads call `stop`, for the caller, an
operator, the deadline or the worker's shutdown. The first verdict stands: of several stops one succeeds, and none after
the child has reported the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from spaces.farm.events import Crashed, End, state_after
from spaces_workers.link.messages import RunTask
from spaces_workers.worker.child_link import ChildLink


@dataclass(frozen=True, slots=True)
class GivenBack:
    """No end: the task goes back to its old place in the queue, for another worker. `reason` is a sentence part."""

    reason: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The task could not begin, through no fault of its Space: it is requeued, or ends so if no attempt is left."""

    end: Crashed


#: What has become of a task once its run is over.
Outcome = End | GivenBack

#: What shall become of it.
Verdict = Outcome | TryAgain


@dataclass(frozen=True, slots=True)
class NotGiven:
    """The child, if there is one, was never given the task."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The child was given the task and reported no end."""


@dataclass(frozen=True, slots=True)
class Reported:
    """The child reported this end, perhaps after another verdict had been decided."""

    end: End


#: The last word of the child on the task.
Answer = NotGiven | NoAnswer | Reported


@dataclass(frozen=True, slots=True)
class Preparing:
    """No child has the task yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """The child has the task."""

    child: ChildLink


@dataclass(frozen=True, slots=True)
class Stopping:
    """The child still has the task, but the verdict stands, also against its own report."""

    child: ChildLink
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Over:
    """The verdict is final. The child no longer has the task, and only the run's own thread may touch it."""

    verdict: Verdict
    answer: Answer


State = Preparing | Running | Stopping | Over


class RunState:
    """The state of one run. Moves are atomic and do not wait for the child."""

    def __init__(self) -> None:
        self._state: State = Preparing()
        # Reentrant, because a signal handler that stops the worker may interrupt the main thread in `begin`.
        self._lock = threading.RLock()

    @property
    def now(self) -> State:
        """The current state. Other threads may change it at any time, but never from `Over`."""
        return self._state

    def begin(self, child: ChildLink, task: RunTask) -> bool:
        """Give the child the task; False, without giving it, if the run was stopped before.

        Raises ChannelClosed if the child is gone: the task was not given then, and the state is as before.

        The lock is held until the child has the task: a stop at the same moment comes either before, and the task is
        never given, or after, and finds a child to kill.
        """
        with self._lock:
            match self._state:
                case Preparing():
                    child.begin(task)
                    return self._has_begun(child)
                case Over():
                    return False
                case Running() | Stopping() as state:
                    raise _out_of_order("begin", state)
                case _:
                    assert_never(self._state)

    def _has_begun(self, child: ChildLink) -> bool:
        match self._state:
            case Over(verdict=verdict):  # by a signal handler, on this very thread
                self._state = Over(verdict, NoAnswer())
                return False
            case _:
                self._state = Running(child)
                return True

    def hear(self, end: End) -> None:
        """The child has reported the end. From now on no stop may touch it: it stays warm for the next task."""
        with self._lock:
            match self._state:
                case Running():
                    self._state = Over(end, Reported(end))
                case Stopping(verdict=verdict):
                    self._state = Over(verdict, Reported(end))
                case Preparing() | Over() as state:
                    raise _out_of_order("hear", state)
                case _:
                    assert_never(self._state)

    def fail(self, verdict: Verdict) -> None:
        """The child will report no end. From now on no stop may touch it: its pid may soon be another process's."""
        with self._lock:
            match self._state:
                case Preparing():
                    self._state = Over(verdict, NotGiven())
                case Running():
                    self._state = Over(verdict, NoAnswer())
                case Stopping(verdict=earlier):
                    self._state = Over(earlier, NoAnswer())
                case Over():
                    pass  # it was stopped before it began
                case _:
                    assert_never(self._state)

    def stop(self, verdict: Verdict) -> bool:
        """Decide the verdict from outside; False if another stop, or the child's report, has decided it already."""
        with self._lock:
            match self._state:
                case Preparing():
                    self._state = Over(verdict, NotGiven())
                case Running(child):
                    self._state = Stopping(child, verdict)
                case Stopping() | Over():
                    return False
                case _:
                    assert_never(self._state)
        return True

    def with_child(self, act: Callable[[ChildLink], None]) -> bool:
        """Do something to the child if it has the task; False if it has not.

        The lock is held meanwhile, so the child keeps the task: a late kill hits neither its next task nor a process
        that got its pid.
        """
        with self._lock:
            match self._state:
                case Running(child) | Stopping(child):
                    act(child)
                    return True
                case Preparing() | Over():
                    return False
                case _:
                    assert_never(self._state)


def in_words(outcome: Outcome) -> str:
    """For the log: `succeeded`, `timed out`, `given back (its worker was stopped)`."""
    return f"given back ({outcome.reason})" if isinstance(outcome, GivenBack) else state_after(outcome)


def _out_of_order(move: str, state: State) -> RuntimeError:
    return RuntimeError(f"a run that is {type(state).__name__} cannot {move}")
