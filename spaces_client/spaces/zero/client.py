"""Names that Spaces import from the official package's client: the report of readiness, and the seconds of a call."""

from __future__ import annotations

from datetime import timedelta

from spaces.functions.duration import seconds
from spaces.launch import announce as startup_report

__all__ = ["get_duration_seconds", "startup_report"]


def get_duration_seconds(duration: timedelta | None, gpu_size: str | None) -> float:
    """The seconds of a call that requests `duration`; they do not depend on the GPU's kind and size."""
    del gpu_size
    return seconds(duration)
