"""Whether the home page of this farm can write the traces that the environment asks for."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.util import find_spec

from spaces.farm import traces

_INSTALL = "pip install 'zerofarm[tracing]'"

_REMEDIES = {"otlp_proto_http": _INSTALL, "otlp_proto_grpc": "pip install opentelemetry-exporter-otlp-proto-grpc"}


def what_tracing_lacks() -> str:
    """A sentence with the remedy; empty if nothing is lacking, or no traces are asked for."""
    if not traces.is_on():
        return ""
    if not all(map(find_spec, ("opentelemetry", "opentelemetry.sdk"))):
        return _lacking("SDK", _INSTALL)
    name = traces.exporter_name()
    if entry_points(group=traces.ENTRY_POINTS, name=name):
        return ""
    return _lacking(
        f"exporter {name!r}", _REMEDIES.get(name, f"set another {traces.EXPORTER} or {traces.PROTOCOLS[1]}")
    )


def _lacking(part: str, remedy: str) -> str:
    return (
        f"OpenTelemetry's variables ask for traces, but its {part} is not installed: {remedy}, or "
        "set OTEL_SDK_DISABLED=true"
    )
