"""Whether a farm writes traces, as the standard variables of OpenTelemetry say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

#: The endpoint of OpenTelemetry's exporters, for all signals or for traces alone.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

#: The name of the exporter; `none`: no traces.
EXPORTER = "OTEL_TRACES_EXPORTER"

_DISABLED = "OTEL_SDK_DISABLED"


def is_on(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether they ask for traces. An empty variable counts as none."""
    if environment.get(_DISABLED, "").lower() == "true":
        return False
    if chosen := environment.get(EXPORTER):
        return chosen != "none"
    return any(environment.get(name) for name in ENDPOINTS)


@cache
def are_written() -> bool:
    """Whether this process's farm writes traces, as its environment says."""
    return is_on()
