"""Writes the outcome of a run to the broker: the task's end, or its return to the queue."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from spaces.farm.celery.steps import Step
from spaces.farm.queue.queue import Ended
from spaces.farm.stream.writer import EventWriter
from spaces.farm.task import Lease
from spaces_workers.worker.run.run_state import GivenBack, NotGiven, Outcome, Over, Reported, TryAgain
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds of a run."""

    swap: float  #: until its child was ready
    held: float  #: since then


def write_outcome(
    over: Over, lease: Lease, writer: EventWriter, workplace: Workplace, spans: Spans, step: Step | None = None
) -> Outcome:
    """End the task, or requeue it, and delete payloads that nobody will read. An end may be part of a step.

    Returns what was written: of a task that could not begin, whether it waits again is decided by the broker.
    """
    outcome, ended = _written(over, lease, writer, workplace, spans, step)
    if not ended:
        logger.warning("task %s: its lease was lost; another worker ends it", lease.task.id)
    if isinstance(over.answer, Reported) and not (ended and over.answer.end is outcome):
        workplace.carrier.discard_value_of(over.answer.end)
    workplace.clear(lease.task, ended)
    return outcome


def _written(
    over: Over, lease: Lease, writer: EventWriter, workplace: Workplace, spans: Spans, step: Step | None
) -> tuple[Outcome, Ended]:
    match over.verdict:
        case GivenBack() as back:
            return back, workplace.queue.release(lease)
        case TryAgain(end):
            ended = writer.retry(end)
            return (GivenBack(f"its process {end.reason}") if ended is Ended.WAITS else end), ended
        case end:
            if isinstance(over.answer, NotGiven):  # making its child is the farm's
                return end, writer.end(end)
            if step is not None:
                ended, reply = writer.end_and_claim(end, spans.held, spans.swap, step.arguments())
                if ended:  # else nothing was claimed
                    step.answered(reply)
                return end, ended
            return end, writer.end(end, spans.held, spans.swap)
