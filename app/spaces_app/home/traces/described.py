"""The spans of an ended task, from what the broker remembers of it. Nothing that a visitor has written is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from spaces.farm.queue.counters.history import Facts
from spaces.farm.task import FAILURES, State
from spaces.farm.traces.task_traces import Part, read_note, span_id, trace_id

Attribute = str | int | float


class Service(StrEnum):
    """The process that a span belongs to."""

    PAGE = "zerofarm-page"  #: of the Space's page, or the program that has called
    WORKER = "zerofarm-worker"


#: The types of operations in OpenTelemetry's conventions on messaging; other parts are internal.
OPERATIONS = {Part.CALL: "send", Part.PROCESS: "process"}

_SERVICES = {part: Service.PAGE if part in (Part.CALL, Part.ENCODE, Part.WAIT) else Service.WORKER for part in Part}

_PARENTS = {
    Part.ENCODE: Part.CALL,
    Part.WAIT: Part.CALL,
    Part.PROCESS: Part.CALL,
    Part.SWAP: Part.PROCESS,
    Part.RUN: Part.PROCESS,
}


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """One span. Times are seconds since the epoch; ids are hexadecimal digits."""

    part: Part
    name: str
    start: float
    end: float
    trace_id: str
    span_id: str
    parent: Part | None  #: None: that of the caller
    traceparent: str  #: the caller's span; empty: none
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    error: str = ""  #: what failed, as OpenTelemetry's `error.type`; empty: nothing

    @property
    def service(self) -> Service:
        """The process that the span belongs to."""
        return _SERVICES[self.part]


def spans_of(facts: Facts) -> Iterator[SpanFacts]:
    """The spans of a task, parents first."""
    prepared, traceparent = read_note(facts.trace)
    error = _error(facts)
    for part, start, end in _times(facts, prepared):
        yield SpanFacts(
            part=part,
            name=f"{part} {facts.label}",
            start=start,
            end=end,
            trace_id=trace_id(facts.id, traceparent),
            span_id=span_id(facts.id, facts.attempt, part),
            parent=_PARENTS.get(part),
            traceparent=traceparent,
            attributes=_attributes(facts, part),
            error=error if part in (Part.CALL, Part.PROCESS, Part.RUN) else "",
        )


def _times(facts: Facts, prepared: float) -> Iterator[tuple[Part, float, float]]:
    queued, started, ended = facts.enqueued_at, facts.started_at, facts.ended_at
    yield Part.CALL, queued - prepared, ended
    yield Part.ENCODE, queued - prepared, queued
    yield Part.WAIT, queued, started or ended
    if started is None:
        return
    yield Part.PROCESS, started, ended
    if facts.swap is not None:
        begun = min(started + facts.swap, ended)
        yield Part.SWAP, started, begun
        yield Part.RUN, begun, min(begun + (facts.run or 0.0), ended)


def _attributes(facts: Facts, part: Part) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {"zerofarm.space": facts.space, "zerofarm.task": facts.id}
    if operation := OPERATIONS.get(part):
        found |= {
            "messaging.system": "celery",
            "messaging.operation.type": operation,
            "messaging.operation.name": str(part),
            "messaging.destination.name": f"zerofarm.{facts.size}",
            "messaging.message.id": facts.id,
            "zerofarm.size": facts.size,
            "zerofarm.outcome": facts.state,
            "zerofarm.attempt": facts.attempt,
        }
    if part is Part.PROCESS:
        found["zerofarm.worker"] = facts.worker
    if part in (Part.PROCESS, Part.SWAP) and facts.swap is not None:
        found["zerofarm.start"] = "cold" if facts.is_cold else "warm"
    return found


def _error(facts: Facts) -> str:
    """The class of the function's exception, or the state: never a text, which may have what a visitor has written."""
    if facts.state not in FAILURES:
        return ""
    return facts.error.partition(":")[0] if facts.state == State.FAILED and facts.error else facts.state
