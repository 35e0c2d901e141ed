"""The verdict on a task whose run failed: who is at fault, its function, its Space's script, or the farm."""

from __future__ import annotations

import logging

from spaces.errors import SpacesError
from spaces.farm.events import Cancelled, CrashCause, Crashed, Failed
from spaces.farm.queue.queue import LeaseLost
from spaces.farm.task import Task
from spaces_workers.link.channel import ChannelClosed, Garbled
from spaces_workers.worker.child_link import UnfitChild
from spaces_workers.worker.run.run_state import GivenBack, Running, State, Stopping, TryAgain, Verdict
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)

#: The verdict on a run whose task another worker has taken; the broker refuses its writes.
LEASE_LOST = Cancelled("another worker holds its lease")


def verdict_on(error: Exception, state: State, task: Task, workplace: Workplace, seconds: float) -> Verdict:
    """The verdict on a task whose child was not made, died, or cannot be heard any more, after so many seconds."""
    match error:
        case Garbled():
            return _of_a_false_message(error, state, task, seconds)
        case ChannelClosed():
            return _of_a_death(error, state, seconds)
        case LeaseLost():
            return LEASE_LOST
        case UnfitChild() if workplace.lost_device():  # and the Space is not at fault
            return GivenBack("its worker lost the GPU")
        case SpacesError():
            logger.warning("task %s: %s", task.id, _in_a_line(str(error)))
            return _failure(error, str(error))
        case _:
            logger.error("task %s: the worker failed", task.id, exc_info=error)
            return _of_the_worker(f"the worker failed: {error}", state, seconds)


def _of_a_death(error: ChannelClosed, state: State, seconds: float) -> Verdict:
    """A child that had the task crashed with it; one that had not read it, or a zygote or nursery, is replaced."""
    match state:
        case Running() if error.unread:  # the task is all that was sent to it
            return TryAgain(Crashed("was killed before it began", cause=CrashCause.FARM))
        case Running(child) | Stopping(child):
            death = child.how_it_ended()
            return Crashed(death.reason, seconds, death.cause)
        case _:
            return TryAgain(Crashed(f"could not be made: {error}", cause=CrashCause.FARM))


def _of_the_worker(reason: str, state: State, seconds: float) -> Verdict:
    """An error of this worker, such as a lack of descriptors. No function, script or visitor is to blame."""
    match state:
        case Running() | Stopping():
            return Crashed(f"was given up, because {reason}", seconds, CrashCause.FARM)
        case _:
            return TryAgain(Crashed(f"could not be made, because {reason}", cause=CrashCause.FARM))


def _of_a_false_message(error: Garbled, state: State, task: Task, seconds: float) -> Verdict:
    """A child that sent no message of a child is killed: its Space's code must have written to the farm's socket."""
    match state:
        case Running(child) | Stopping(child):
            logger.warning("task %s: its child is killed, because of its message: %s", task.id, error)
            child.kill()
            return Crashed(f"was stopped because it sent the worker a false message: {error}", seconds)
        case _:
            return _of_a_death(error, state, seconds)


def _in_a_line(text: str) -> str:
    """The first line, and the last line of the traceback below it, which has the reason."""
    first, *others = text.strip().splitlines() or [""]
    return f"{first}: {others[-1]}" if others else first


def _failure(error: Exception, text: str) -> Failed:
    return Failed(f"{type(error).__module__}.{type(error).__qualname__}", text, "")
