"""The exporter of traces that the standard variables of OpenTelemetry name, and whether this machine has it.

`zerofarm up` tells its operator if it is missing; the home page uses it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from spaces.errors import SpacesError
from spaces.farm.traces.switch import EXPORTER, is_on

#: The entry points by which exporters are found.
_GROUP = "opentelemetry_traces_exporter"

#: How an OTLP exporter sends; the first that is set counts.
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}

_INSTALL = "pip install 'zerofarm[tracing]'"

_REMEDIES = {"otlp_proto_http": _INSTALL, "otlp_proto_grpc": "pip install opentelemetry-exporter-otlp-proto-grpc"}


def shortcoming(environment: Mapping[str, str] = os.environ) -> str:
    """The reason why no traces can be written, with the remedy; empty if they can, or if none are asked for."""
    if not is_on(environment):
        return ""
    try:
        entry_point(environment)
    except SpacesError as error:
        return str(error)
    return ""


def entry_point(environment: Mapping[str, str] = os.environ) -> EntryPoint:
    """The entry point of the exporter's class, which reads its own variables.

    Raises SpacesError if the SDK or the exporter is missing.
    """
    if not all(map(find_spec, ("opentelemetry", "opentelemetry.sdk"))):
        raise SpacesError(_lacking("SDK", _INSTALL))
    name = _name(environment)
    for found in entry_points(group=_GROUP, name=name):
        return found
    raise SpacesError(_lacking(f"exporter {name!r}", _REMEDIES.get(name, f"set another {EXPORTER} or {_PROTOCOLS[1]}")))


def _name(environment: Mapping[str, str]) -> str:
    """The name of its entry point."""
    name = environment.get(EXPORTER) or "otlp"
    if name != "otlp":
        return name
    protocol = next((environment[each] for each in _PROTOCOLS if environment.get(each)), "http/protobuf")
    return _BY_PROTOCOL.get(protocol, f"otlp by {protocol}")


def _lacking(part: str, remedy: str) -> str:
    return (
        f"OpenTelemetry's variables ask for traces, but its {part} is not installed: {remedy}, or "
        "set OTEL_SDK_DISABLED=true"
    )
