"""Each ended task is given to somebody who writes its trace, until it was written."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spaces.farm.queue.queue import Queue
from spaces_app.home.traces.unwritten import UnwrittenTraces
from spaces_app.home.traces.writer import PATIENCE, TraceWriter

from .support import pushed


class Collecting(SpanExporter):
    """Takes spans, unless it is away."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.is_away = False
        self.fault: Exception | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.fault:
            raise self.fault
        if self.is_away:
            return SpanExportResult.FAILURE
        self.tasks += [str((each.attributes or {})["zerofarm.task"]) for each in spans if each.parent is None]
        return SpanExportResult.SUCCESS


def ended(queue: Queue) -> str:
    task = pushed(queue)
    queue.cancel(task.id, "its visitor")
    return task.id


def ids(unwritten: UnwrittenTraces) -> list[str]:
    return [each.facts.id for each in unwritten.next(patience=0.0)]


def test_a_task_is_given_to_one_of_two_home_pages(queue: Queue) -> None:
    first, second = UnwrittenTraces(queue), UnwrittenTraces(queue)
    assert ids(first) == ids(second) == []
    task = ended(queue)
    assert ids(first) == [task]
    assert ids(second) == []


def test_a_task_that_was_written_is_given_to_nobody(queue: Queue) -> None:
    unwritten = UnwrittenTraces(queue, again=0.0)
    unwritten.next(patience=0.0)
    task = ended(queue)
    found = unwritten.next(patience=0.0)
    assert ids(unwritten) == [task]  # it was not written yet
    unwritten.written(found)
    assert ids(unwritten) == []


def test_tasks_that_end_while_no_home_page_runs_are_given_to_the_next(queue: Queue) -> None:
    UnwrittenTraces(queue).next(patience=0.0)
    task = ended(queue)
    assert ids(UnwrittenTraces(queue)) == [task]


def test_tasks_that_ended_before_the_first_home_page_have_no_trace(queue: Queue) -> None:
    ended(queue)
    assert ids(UnwrittenTraces(queue)) == []


def test_a_history_that_expired_is_read_again(queue: Queue) -> None:
    unwritten = UnwrittenTraces(queue)
    unwritten.next(patience=0.0)
    queue.redis.delete(queue.keys.history())
    assert ids(unwritten) == []
    assert ids(unwritten) == []
    task = ended(queue)
    assert ids(unwritten) == [task]


@pytest.fixture
def writing(queue: Queue) -> tuple[TraceWriter, Collecting, list[float]]:
    """A writer that has begun, its collector, and the seconds that its clock is ahead."""
    ahead = [0.0]
    unwritten, collecting = UnwrittenTraces(queue, again=0.0), Collecting()
    unwritten.next(patience=0.0)

    def now() -> float:
        seconds, _ = queue.redis.time()
        return float(seconds) + ahead[0]

    return TraceWriter(unwritten, collecting, now), collecting, ahead


def test_what_a_collector_did_not_take_is_sent_again(
    queue: Queue, writing: tuple[TraceWriter, Collecting, list[float]]
) -> None:
    writer, collecting, _ = writing
    collecting.is_away = True
    task = ended(queue)
    writer.write()
    collecting.is_away = False
    writer.write()
    assert collecting.tasks == [task]


def test_a_collector_that_stays_away_is_not_waited_for_without_end(
    queue: Queue, writing: tuple[TraceWriter, Collecting, list[float]]
) -> None:
    writer, collecting, ahead = writing
    collecting.is_away, ahead[0] = True, PATIENCE + 10.0
    ended(queue)
    writer.write()
    collecting.is_away = False
    second = ended(queue)
    writer.write()
    assert collecting.tasks == [second]


def test_traces_on_which_an_exporter_fails_are_not_sent_without_end(
    queue: Queue, writing: tuple[TraceWriter, Collecting, list[float]]
) -> None:
    """An exception of the exporter's left them unwritten, however old they were: all others waited behind them."""
    writer, collecting, ahead = writing
    collecting.fault, ahead[0] = ValueError("a span that cannot be encoded"), PATIENCE + 10.0
    ended(queue)
    writer.write()
    collecting.fault = None
    second = ended(queue)
    writer.write()
    assert collecting.tasks == [second]


def test_an_entry_that_cannot_be_read_keeps_no_other_waiting(
    queue: Queue, writing: tuple[TraceWriter, Collecting, list[float]]
) -> None:
    writer, collecting, _ = writing
    queue.redis.xadd(queue.keys.history(), {"t": b"\xc1", "e": b""})
    task = ended(queue)
    writer.write()
    assert collecting.tasks == [task]
    assert queue.redis.xpending(queue.keys.history(), "traces")["pending"] == 0
