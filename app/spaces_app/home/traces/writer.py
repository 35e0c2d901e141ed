"""Writes the trace of each task that has ended, on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from redis import RedisError

from spaces_app.home.traces.described import spans_of
from spaces_app.home.traces.spans import Spans
from spaces_app.home.traces.unwritten import Unwritten, UnwrittenTraces

logger = logging.getLogger(__name__)

#: Seconds of a pause after an error, and for which a task's trace is tried while the collector is away.
PAUSE, PATIENCE = 5.0, 3600.0


class TraceWriter:
    """Writes for as long as its process lives."""

    def __init__(
        self, unwritten: UnwrittenTraces, exporter: SpanExporter, clock: Callable[[], float] = time.time
    ) -> None:
        self._unwritten = unwritten
        self._exporter = exporter
        self._clock = clock
        self._spans = Spans()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def write(self) -> None:
        """Write the traces of some tasks; if it fails, they are written later. Raises redis's errors."""
        tasks = self._unwritten.next()
        for each in tasks:
            self._add(each)
        spans = self._spans.take()
        if spans and not self._is_sent(spans):
            tasks = self._too_old(tasks)
        self._unwritten.written(tasks)

    def _add(self, task: Unwritten) -> None:
        try:
            self._spans.add(list(spans_of(task.facts)))
        except Exception:  # one that is read again and again must not keep the others waiting
            logger.exception("no trace can be made of the entry %s", task.name)

    def _is_sent(self, spans: Sequence[ReadableSpan]) -> bool:
        try:
            return self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # of an exporter that does not say FAILURE: these must not be read again without end
            logger.exception("the exporter of traces has failed")
            return False

    def _too_old(self, tasks: Sequence[Unwritten]) -> list[Unwritten]:
        dropped = [each for each in tasks if each.ended_at < self._clock() - PATIENCE]
        logger.warning("the collector did not take the traces of %d tasks; %d are dropped", len(tasks), len(dropped))
        return dropped

    def _run(self) -> None:
        while True:
            try:
                self.write()
            except RedisError as error:
                logger.debug("no traces are written: %s", error)
                time.sleep(PAUSE)
            except Exception:  # later tasks need their traces, after any error
                logger.exception("some traces were not written")
                time.sleep(PAUSE)
