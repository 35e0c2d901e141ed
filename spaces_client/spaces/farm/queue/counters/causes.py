"""The facts that an end gives to the counters: how long its function ran, and what stopped it."""

from __future__ import annotations

from enum import StrEnum

from spaces.farm.events import Cancelled, CrashCause, Crashed, End, Failed, Succeeded, TimedOut


class Cause(StrEnum):
    """The cause that stopped a run before its function returned or raised."""

    TIME_LIMIT = "time_limit"
    CANCELLED = "cancelled"
    CRASHED = "crashed"  #: its process ended by itself, or by a signal for its own errors
    KILLED = "killed"  #: by an unknown process
    OUT_OF_MEMORY = "out_of_memory"  #: of the host
    FARM = "farm"  #: a process of the farm died first


class Retry(StrEnum):
    """Why a claimed task went back to the queue; the scripts write these."""

    WORKER_DIED = "worker_died"
    WORKER_LEFT = "worker_left"  #: it was stopped, or cannot serve the task
    COULD_NOT_BEGIN = "could_not_begin"


_OF_CRASH = {
    CrashCause.FUNCTION: Cause.CRASHED,
    CrashCause.KILLED: Cause.KILLED,
    CrashCause.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    CrashCause.FARM: Cause.FARM,
}


def stopped_by(end: End) -> str:
    """The cause, or an empty text for a function that returned or raised."""
    match end:
        case TimedOut():
            return Cause.TIME_LIMIT
        case Cancelled():
            return Cause.CANCELLED
        case Crashed(cause=cause):
            return _OF_CRASH[CrashCause(cause)]
        case _:
            return ""


def seconds_of(end: End, held: float) -> float:
    """The seconds of the function: its own, or those for which it held the GPU if it did not tell."""
    match end:
        case Succeeded(seconds=seconds) | Failed(seconds=seconds) if seconds > 0:
            return seconds
        case _:
            return max(0.0, held)
