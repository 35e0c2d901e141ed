"""Makes OpenTelemetry's spans of tasks, under ids that other processes know, too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from spaces.farm.traces.task_traces import Part
from spaces_app.home.traces.described import Service, SpanFacts

_KINDS: Mapping[Part, SpanKind] = {Part.CALL: SpanKind.PRODUCER, Part.PROCESS: SpanKind.CONSUMER}


class Spans:
    """Collects the spans of tasks until they are taken. Samples as `$OTEL_TRACES_SAMPLER` says. For one thread."""

    def __init__(self) -> None:
        self._ids = _GivenIds()
        self._ended = _Ended()
        self._tracers = {service: self._tracer(service) for service in Service}

    def add(self, facts: Iterable[SpanFacts]) -> None:
        """Make the spans of one task; parents come first."""
        made: dict[Part, Span] = {}
        for each in facts:
            self._ids.trace_id, self._ids.span_id = int(each.trace_id, 16), int(each.span_id, 16)
            context = _of_caller(each.traceparent) if each.parent is None else _within(made[each.parent])
            made[each.part] = self._made(each, context)
        for each in facts:
            made[each.part].end(_nanoseconds(each.end))

    def take(self) -> list[ReadableSpan]:
        """The spans since the last time, without those that are not sampled."""
        taken, self._ended.spans = self._ended.spans, []
        return taken

    def _made(self, facts: SpanFacts, context: Context) -> Span:
        span = self._tracers[facts.service].start_span(
            facts.name,
            context,
            _KINDS.get(facts.part, SpanKind.INTERNAL),
            facts.attributes,
            start_time=_nanoseconds(facts.start),
        )
        if facts.error:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", facts.error)
        return span

    def _tracer(self, service: Service) -> Tracer:
        resource = Resource.create({"service.name": service, "service.namespace": "zerofarm"})
        provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        provider.add_span_processor(self._ended)
        return provider.get_tracer("zerofarm")


class _GivenIds(IdGenerator):
    """The ids of the span that is made next."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class _Ended(SpanProcessor):
    """Keeps spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def _of_caller(traceparent: str) -> Context:
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


def _within(span: Span) -> Context:
    return set_span_in_context(span, Context())


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e6) * 1000
