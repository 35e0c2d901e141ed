"""Decides whether this home page writes traces."""

from __future__ import annotations

import logging

from spaces.errors import SpacesError
from spaces.farm.queue.queue import Queue
from spaces.farm.traces import switch
from spaces.farm.traces.exporter import entry_point

logger = logging.getLogger(__name__)


def write_traces(queue: Queue) -> None:
    """Write traces from now on if the environment asks for them. Where they cannot be, the log says why."""
    if not switch.are_written():
        return
    try:
        exporter = entry_point()
    except SpacesError as error:
        logger.warning("no traces are written: %s", error)
        return
    from spaces_app.home.traces.unwritten import UnwrittenTraces
    from spaces_app.home.traces.writer import TraceWriter

    TraceWriter(UnwrittenTraces(queue), exporter.load()()).start()
