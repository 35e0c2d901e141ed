"""Whether the home page of this farm can write the traces that the environment asks for."""

from __future__ import annotations

from importlib.util import find_spec

from spaces.farm import traces


def what_tracing_lacks() -> str:
    """A sentence with the remedy; empty if nothing is lacking, or no traces are asked for."""
    if not traces.is_on() or all(map(find_spec, ("opentelemetry", "opentelemetry.sdk"))):
        return ""
    return (
        "OpenTelemetry's variables ask for traces, but its SDK is not installed: pip install 'zerofarm[tracing]', or "
        "set OTEL_SDK_DISABLED=true"
    )
