"""Which traces tasks have, as the environment and their callers say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from spaces.errors import SpacesError
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.counters.history import Facts
from spaces.farm.task import FunctionName, Task
from spaces.farm.traces import exporter, switch, task_traces
from spaces.farm.traces.task_traces import Part
from spaces.withheld_variables import for_home, for_spaces, without_secrets
from spaces_app.home.traces.described import spans_of
from spaces_app.home.traces.spans import Spans
from spaces_workers.gateway.tenant import Tenant
from tests.collector import Collector

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

TASK = Task("digits", FunctionName("__main__", "draw"), Payload(b""), id="5" * 32)

FACTS = Facts(
    id="5" * 32,
    label="digits.draw",
    space="digits",
    size="large",
    state="succeeded",
    worker="gpu0@host",
    attempt=1,
    visitor="ada",
    enqueued_at=100.0,
    started_at=103.0,
    ended_at=108.0,
    swap=1.0,
    run=3.5,
    reason="",
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The environment of this process asks for traces."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    switch.are_written.cache_clear()
    yield
    switch.are_written.cache_clear()


@pytest.mark.parametrize(
    ("environment", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "digits"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_the_standard_variables_turn_traces_on_and_off(environment: dict[str, str], is_on: bool) -> None:
    assert switch.is_on(environment) is is_on


def test_a_space_inherits_no_variable_of_the_farms_traces_and_only_the_home_page_the_secrets() -> None:
    given = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "A": "1"}
    assert for_spaces(given) == {"A": "1"}
    assert without_secrets(given) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "A": "1"}
    assert for_home(given) == {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret"}


def test_without_traces_nothing_is_remembered_and_a_function_is_within_its_caller() -> None:
    assert task_traces.note(replace(TASK, prepared=0.5)) == ""
    assert task_traces.span_of_function(TASK, 1) == ""
    assert task_traces.span_of_function(replace(TASK, traceparent=CALLER), 1) == CALLER


@pytest.mark.usefixtures("written")
def test_a_function_is_within_the_run_of_its_attempt() -> None:
    first, second = (task_traces.span_of_function(replace(TASK, traceparent=CALLER), attempt) for attempt in (1, 2))
    assert first == f"00-{CALLER.split('-')[1]}-{task_traces.span_id(TASK.id, 1, Part.RUN)}-01"
    assert first != second
    [run] = [each for each in spans_of(replace(FACTS, trace=f"0.5 {CALLER}")) if each.part is Part.RUN]
    assert (run.trace_id, run.span_id) == tuple(first.split("-")[1:3])


@pytest.mark.usefixtures("written")
def test_a_note_says_how_long_the_task_was_prepared_and_by_whom() -> None:
    assert task_traces.read_note(task_traces.note(replace(TASK, prepared=0.25, traceparent=CALLER))) == (0.25, CALLER)
    assert task_traces.read_note(task_traces.note(replace(TASK, prepared=0.25))) == (0.25, "")


@pytest.mark.parametrize("prepared", [float("nan"), float("inf"), -1.0, 1e300])
@pytest.mark.parametrize("traceparent", ["garbage", CALLER + "-more", f"00-{'0' * 32}-b7ad6b7169203331-01", "00-\n"])
@pytest.mark.usefixtures("written")
def test_a_caller_that_lies_gets_a_trace_of_its_own(prepared: float, traceparent: str) -> None:
    lying = replace(TASK, prepared=prepared, traceparent=traceparent)
    assert task_traces.span_of_function(lying, 1).startswith(f"00-{task_traces.trace_id(TASK.id, '')}-")
    spans = list(spans_of(replace(FACTS, trace=task_traces.note(lying))))
    assert spans[0].trace_id == task_traces.trace_id(TASK.id, "")
    assert FACTS.enqueued_at - task_traces.LONGEST_PREPARATION <= spans[0].start <= FACTS.enqueued_at


def test_a_gateway_passes_on_no_other_text_as_the_callers_span() -> None:
    tenant = Tenant("digits")
    for traceparent, passed in ((CALLER, CALLER), ("a secret", "")):
        task = replace(TASK, traceparent=traceparent)
        assert tenant.task(task, "client", "reader", False).traceparent == passed


def test_samplers_see_ids_of_traces_that_are_random() -> None:
    """The low half of a task's own id begins with fixed bits: a quarter of the traces would have been none."""
    sampler = TraceIdRatioBased(0.25)
    tasks = [replace(TASK, id=Task("digits", TASK.function, Payload()).id) for _ in range(400)]
    ids = [int(task_traces.trace_id(each.id, ""), 16) for each in tasks]
    taken = [each for each in ids if sampler.should_sample(None, each, "").decision is not Decision.DROP]
    assert 40 < len(taken) < 160


def test_a_trace_that_is_not_sampled_has_no_span(monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans()
    spans.add(list(spans_of(replace(FACTS, trace=f"0.5 {CALLER[:-1]}0"))))
    assert spans.take() == []
    spans.add(list(spans_of(FACTS)))
    assert len(spans.take()) == 6


def test_an_exporter_that_is_not_installed_is_refused_with_the_remedy() -> None:
    assert exporter.entry_point({}).name == "otlp_proto_http"
    with pytest.raises(SpacesError, match="'otlp by http/json' is not installed: set another OTEL_TRACES_EXPORTER or"):
        exporter.entry_point({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"})
    with pytest.raises(SpacesError, match="'jaeger' is not installed"):
        exporter.entry_point({"OTEL_TRACES_EXPORTER": "jaeger"})


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", "pip install 'zerofarm[tracing]'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "pip install opentelemetry-exporter-otlp-proto-grpc"),
        ("OTEL_TRACES_EXPORTER", "jaeger", "another OTEL_TRACES_EXPORTER"),
    ],
)
def test_an_operator_is_told_that_the_exporter_is_missing(
    variable: str, value: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the SDK but without the exporter `zerofarm up` said nothing, and no traces were written."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(exporter, "entry_points", lambda **_: ())
    assert remedy in exporter.shortcoming()


def test_an_operator_is_told_what_traces_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "find_spec", lambda name: None)
    assert exporter.shortcoming() == ""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert "pip install 'zerofarm[tracing]'" in exporter.shortcoming()
    monkeypatch.undo()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert exporter.shortcoming() == ""


def test_a_span_that_arrived_twice_is_one_span() -> None:
    """The farm sends at least once: a collector whose answer is lost gets a trace again."""
    task = KeyValue(key="zerofarm.task", value=AnyValue(string_value="1f"))
    service = KeyValue(key="service.name", value=AnyValue(string_value="zerofarm-page"))
    sent = Sent(name="call digits.generate", span_id=b"12345678", attributes=[task])
    scopes = [ScopeSpans(spans=[sent])]
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=Resource(attributes=[service]), scope_spans=scopes)]
    )
    found = Collector("", bodies=[request.SerializeToString()] * 2)
    assert [each.id for each in found.of_task("1f").values()] == [b"12345678".hex()]
