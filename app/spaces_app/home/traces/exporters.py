"""The exporter that the standard variables of OpenTelemetry name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import cast

from opentelemetry.sdk.trace.export import SpanExporter

from spaces.errors import SpacesError
from spaces.farm.traces import ENTRY_POINTS, EXPORTER, PROTOCOLS, exporter_name


def exporter(environment: Mapping[str, str] = os.environ) -> SpanExporter:
    """Make it; it reads its own variables. Raises SpacesError for one that is not installed."""
    name = exporter_name(environment)
    found = list(entry_points(group=ENTRY_POINTS, name=name))
    if not found:
        raise SpacesError(
            f"the exporter {name!r} of traces is not installed. Use otlp by http/protobuf, or install it: see "
            f"${EXPORTER} and ${PROTOCOLS[1]} in OpenTelemetry's documentation"
        )
    return cast(SpanExporter, found[0].load()())
