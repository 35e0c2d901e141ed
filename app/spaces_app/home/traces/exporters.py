"""The exporter that the standard variables of OpenTelemetry name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import cast

from opentelemetry.sdk.trace.export import SpanExporter

from spaces.errors import SpacesError
from spaces.farm.traces import EXPORTER

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def exporter(environment: Mapping[str, str] = os.environ) -> SpanExporter:
    """Make it; it reads its own variables. Raises SpacesError for one that is not installed."""
    name = environment.get(EXPORTER) or "otlp"
    if name == "otlp":
        protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), "http/protobuf")
        name = _BY_PROTOCOL.get(protocol, f"otlp by {protocol}")
    found = list(entry_points(group="opentelemetry_traces_exporter", name=name))
    if not found:
        raise SpacesError(
            f"the exporter {name!r} of traces is not installed. Use otlp by http/protobuf, or install it: see "
            f"${EXPORTER} and ${_PROTOCOLS[1]} in OpenTelemetry's documentation"
        )
    return cast(SpanExporter, found[0].load()())
