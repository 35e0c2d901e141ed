"""The trace of a task for OpenTelemetry: its ids, and the note that the task carries for it.

The ids of a trace and its spans follow from the task's own id, so that no process has to tell another one. The home
page writes the spans once the task has ended (docs/tracing.md); all others need no library for it.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING

from spaces.farm.traces.switch import are_written

if TYPE_CHECKING:
    from spaces.farm.task import Task

#: W3C Trace Context, version 00: the trace, the caller's span, and flags. Neither id is zero.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")

_SAMPLED = "01"

_SECONDS = re.compile(r"\d+\.\d+")

#: Seconds that a caller may say it took to prepare a task.
LONGEST_PREPARATION = 3600.0


class Part(StrEnum):
    """A span of a task."""

    CALL = "call"  #: from the call of the function until the task's end
    ENCODE = "encode"  #: until the task was sent
    WAIT = "wait"  #: in the queue
    PROCESS = "process"  #: on a worker
    SWAP = "swap"  #: until a child of the Space is ready
    RUN = "run"  #: the function itself


def callers_span() -> str:
    """The span that this thread is in, as a `traceparent`; empty if it is in none, or uses no OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:
        return ""
    from opentelemetry import trace

    span = trace.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else ""


def checked(traceparent: str) -> str:
    """The same if it is a `traceparent`, else nothing."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else ""


def trace_id(task_id: str, traceparent: str) -> str:
    """The id of a task's trace: that of its caller, or one of its own."""
    # A hash, because the bits of a task's id are not all random, and samplers choose by them.
    return traceparent.split("-")[1] if checked(traceparent) else _digest(task_id, 16)


def span_id(task_id: str, attempt: int, part: Part) -> str:
    """The id of one span of a task; it differs between workers that had the task one after another."""
    return _digest(f"{task_id} {attempt} {part}", 8)


def span_of_function(task: Task, attempt: int) -> str:
    """The span that a function's own spans belong to, as a `traceparent`: that of the run, or else the caller's."""
    if not are_written():
        return task.traceparent
    flags = checked(task.traceparent).rpartition("-")[2] or _SAMPLED
    return f"00-{trace_id(task.id, task.traceparent)}-{span_id(task.id, attempt, Part.RUN)}-{flags}"


def note(task: Task) -> str:
    """The text that the broker keeps with a task for its trace; empty: none."""
    return f"{task.prepared:.6f} {task.traceparent}" if task.traceparent or are_written() else ""


def read_note(text: str) -> tuple[float, str]:
    """The seconds that the caller took until it sent the task, and its span, both checked."""
    prepared, _, traceparent = text.partition(" ")
    seconds = float(prepared) if _SECONDS.fullmatch(prepared) else 0.0
    return min(seconds, LONGEST_PREPARATION), checked(traceparent)


def _digest(text: str, size_bytes: int) -> str:
    return blake2b(text.encode(), digest_size=size_bytes).hexdigest()
