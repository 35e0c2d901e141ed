"""The events of a task's stream, in order: `Started`, then the function's own events, then exactly one end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from spaces.farm.payloads.payload import Payload
from spaces.farm.task import State
from spaces.farm.wire import message


@message
@dataclass(frozen=True, slots=True)
class Started:
    """A worker has taken the task. A second one means that it is tried again: all earlier events are void."""

    worker: str
    device: str
    version: int = 0  #: of the formats of the stream


@message
@dataclass(frozen=True, slots=True)
class Yielded:
    """The function yielded a value."""

    value: Payload


@message
@dataclass(frozen=True, slots=True)
class Bar:
    """One progress bar, as Gradio's TrackedIterable has it."""

    index: float | None
    length: float | None
    description: str | None
    unit: str | None
    fraction: float | None  #: 0 to 1, instead of index and length


@message
@dataclass(frozen=True, slots=True)
class Progressed:
    """The function reported progress; outermost bar first."""

    bars: tuple[Bar, ...]


@message
@dataclass(frozen=True, slots=True)
class Said:
    """A toast: `gr.Info`, `gr.Warning`, `gr.Success`, or a message of the farm."""

    text: str
    level: str = "info"  #: "info", "warning" or "success"
    title: str = "Info"
    duration: float | None = 10.0
    visible: bool = True


@message
@dataclass(frozen=True, slots=True)
class ChangedGlobal:
    """One global of a Space that the function changed."""

    name: str
    reader: str  #: the function of the web process that reads it: `on_click()`


@message
@dataclass(frozen=True, slots=True)
class ChangedGlobals:
    """The function changed globals that the web process reads; there they keep their old values."""

    changes: tuple[ChangedGlobal, ...]


@message
@dataclass(frozen=True, slots=True)
class Succeeded:
    """The end: the function returned."""

    value: Payload
    seconds: float = 0.0


@message
@dataclass(frozen=True, slots=True)
class Failed:
    """The end: the function raised, or its result could not be sent."""

    type_name: str  #: qualified name of the exception's class
    text: str  #: `str` of the exception
    traceback: str  #: as the log has it
    error: Payload | None = None  #: the exception itself, if it can be sent
    seconds: float = 0.0


@message
@dataclass(frozen=True, slots=True)
class Cancelled:
    """The end: the task was cancelled. `reason` says by whom."""

    reason: str


@message
@dataclass(frozen=True, slots=True)
class Expired:
    """The end: no worker took the task within the longest allowed wait. `reason` is a clause that says so."""

    reason: str


@message
@dataclass(frozen=True, slots=True)
class TimedOut:
    """The end: the task ran past its time limit."""

    seconds: float
    time_limit: float
    hung_for: float = 0.0  #: the last seconds in which it only waited for locks; 0: it was active, or unknown


class CrashCause(StrEnum):
    """The cause of a child's death while it had a task. Only a crash of the function is charged to its visitor."""

    FUNCTION = "function"  #: it exited, or by a signal for its own errors, or one that it sent to itself
    KILLED = "killed"  #: SIGKILL from outside, by an unknown process
    OUT_OF_MEMORY = "out of memory"  #: SIGKILL while the kernel was killing processes for want of memory
    FARM = "farm"  #: a process of the farm died first, or it could not be made


@message
@dataclass(frozen=True, slots=True)
class Crashed:
    """The end: the child died. `reason` is a sentence part: "was killed by SIGSEGV", "exited with code 3"."""

    reason: str
    seconds: float = 0.0
    cause: str = CrashCause.FUNCTION  #: a CrashCause; arrives as plain text


@message
@dataclass(frozen=True, slots=True)
class Lost:
    """The end: every worker that took the task died, and no attempt is left."""

    attempts: int


End = Succeeded | Failed | Cancelled | Expired | TimedOut | Crashed | Lost
Event = Started | Yielded | Progressed | Said | ChangedGlobals | End

_STATES: dict[type, State] = {
    Succeeded: State.SUCCEEDED,
    Failed: State.FAILED,
    Cancelled: State.CANCELLED,
    Expired: State.CANCELLED,
    TimedOut: State.TIMED_OUT,
    Crashed: State.CRASHED,
    Lost: State.LOST,
}


def payload_of(event: Event) -> Payload | None:
    """The value that an event brings, for its reader to take or to discard. An error has no blob."""
    return event.value if isinstance(event, Yielded | Succeeded) else None


def is_end(event: Event) -> TypeGuard[End]:
    """Whether this event is the last of its task."""
    return type(event) in _STATES


def state_after(end: End) -> State:
    """The state of a task with this end."""
    return _STATES[type(end)]
