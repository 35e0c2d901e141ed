"""A collector of OpenTelemetry for tests: takes spans by HTTP, and remembers them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent


@dataclass(frozen=True, slots=True)
class Span:
    """A span as the collector got it."""

    service: str
    sent: Sent

    @property
    def name(self) -> str:
        return self.sent.name

    @property
    def trace(self) -> str:
        return self.sent.trace_id.hex()

    @property
    def id(self) -> str:
        return self.sent.span_id.hex()

    @property
    def parent(self) -> str:
        return self.sent.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, str | int | float]:
        return _plain(self.sent.attributes)


@dataclass(slots=True)
class Collector:
    """What has arrived."""

    url: str
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200  #: that it answers with; it remembers nothing that it does not take

    @property
    def spans(self) -> list[Span]:
        """All spans so far."""
        return [span for body in list(self.bodies) for span in _read(body)]

    def of_task(self, task_id: str) -> dict[str, Span]:
        """The farm's spans of a task, by the first word of their name."""
        # By their ids: what is sent at least once may arrive twice.
        found = {each.id: each for each in self.spans if each.attributes.get("zerofarm.task") == task_id}.values()
        named = {each.name.split()[0]: each for each in found}
        assert len(named) == len(found), [each.name for each in found]
        return named


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    made = Collector(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = _handler(made)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if made.status == 200:
                made.headers.append(dict(self.headers))
                made.bodies.append(body)
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            """Write nothing."""

    return Handler


def _read(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for each in request.resource_spans:
        service = str(_plain(each.resource.attributes)["service.name"])
        for scope in each.scope_spans:
            yield from (Span(service, span) for span in scope.spans)


def _plain(attributes: list[KeyValue]) -> dict[str, str | int | float]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes}
