"""Decides whether this home page writes traces."""

from __future__ import annotations

import logging

from spaces.errors import SpacesError
from spaces.farm import traces
from spaces.farm.queue.queue import Queue

logger = logging.getLogger(__name__)


def write_traces(queue: Queue) -> None:
    """Write traces from now on if the environment asks for them. Where they cannot be, the log says why."""
    if not traces.are_written():
        return
    try:
        from spaces_app.home.traces.exporters import exporter
        from spaces_app.home.traces.unwritten import UnwrittenTraces
        from spaces_app.home.traces.writer import TraceWriter
    except ImportError as error:
        logger.warning("no traces are written: %s. Install OpenTelemetry: pip install 'zerofarm[tracing]'", error)
        return
    try:
        TraceWriter(UnwrittenTraces(queue), exporter()).start()
    except SpacesError as error:
        logger.warning("no traces are written: %s", error)
