"""A task, one request to run a function, and its states. The caller writes it once; it never changes."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from spaces.errors import RefusedError
from spaces.farm.payloads.payload import Payload
from spaces.farm.size import Size
from spaces.farm.units import seconds_in_words
from spaces.farm.wire import message


class State(StrEnum):
    """The state of a task. All states after RUNNING are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed out"
    CRASHED = "crashed"
    LOST = "lost"

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self not in (State.QUEUED, State.RUNNING)


#: States of a task whose end is a failure.
FAILURES = (State.FAILED, State.CRASHED, State.TIMED_OUT, State.LOST)


@message
@dataclass(frozen=True, slots=True)
class FunctionName:
    """The name of a decorated function, equal in every process that runs the Space's script."""

    module: str
    qualname: str
    ordinal: int = 0  #: its ordinal among decorations of that qualified name, for functions made in loops

    def __str__(self) -> str:
        module = "" if self.module == "__main__" else f"{self.module}."
        ordinal = f"#{self.ordinal}" if self.ordinal else ""
        return f"{module}{self.qualname.replace('<locals>.', '')}{ordinal}"


#: No function: the task has a child of its Space made on a GPU, see `links/loading.py`. No function has such a name.
LOAD = FunctionName("__main__", "<load>")


@message
@dataclass(frozen=True, slots=True)
class Task:
    """One request to run a function."""

    space: str
    function: FunctionName
    arguments: Payload  #: `(args, kwargs)`, encoded
    revision: str = ""  #: of the Space's source; empty: the latest
    yields: bool = False  #: a generator: cancelled by closing it at its next yield, while other functions are killed
    size: str = Size.LARGE
    estimate: float = 60.0  #: declared seconds, in practice the time limit; ranks until runs of its kind are learned
    time_limit: float = 60.0  #: allowed seconds; kills the task
    summary: str = ""  #: the arguments in a few words, for people
    client: str = ""  #: the process that waits for the answer; when its lease ends the task is cancelled
    host: str = ""  #: the host whose shared memory holds the arguments and may hold the result
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    visitor: str = ""  #: whose quota it uses, see `spaces.web.identity`; empty: no quota
    reader: str = ""  #: the inbox that its events are delivered to; empty: none
    version: int = 0  #: of the formats of its caller
    traceparent: str = ""  #: the span of its caller, as W3C Trace Context writes it; empty: none
    prepared: float = 0.0  #: seconds from its call until it was sent
    only_latest: bool = False  #: it is refused, as SpaceChanged, if its revision is not the latest of its Space

    @property
    def label(self) -> str:
        """Its name for people: `digits.generate`."""
        return f"{self.space}.{self.function}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's claim on a task. Its writes are refused once another claim exists."""

    task: Task
    worker: str
    attempt: int  #: 1 for the first worker that takes the task


def unknown_task(task_id: str, outcome_lifetime: float) -> RefusedError:
    """The error for a task that the farm does not know."""
    kept = seconds_in_words(outcome_lifetime)
    return RefusedError(f"the farm does not know task {task_id}: a task is forgotten {kept} after its end")
