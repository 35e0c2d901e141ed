"""What Spaces import from the official package's client: the word that they are ready, and how long a call may take."""

from __future__ import annotations

from datetime import timedelta

from spaces.functions.duration import seconds
from spaces.launch import announce as startup_report

__all__ = ["get_duration_seconds", "startup_report"]


def get_duration_seconds(duration: timedelta | None, gpu_size: str | None) -> float:
    """The seconds that a call gets which asks for `duration`: those, on hardware of any kind and size."""
    del gpu_size
    return seconds(duration)
