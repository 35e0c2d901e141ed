"""Checks the arguments of `@spaces.GPU(duration=..., size=..., gpus=...)`, and computes the seconds of a call."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from datetime import timedelta
from numbers import Real

from spaces.errors import DefinitionError
from spaces.farm.size import VARIABLE, Size
from spaces.farm.values.glance import glance

#: Seconds for a function without a duration, as on ZeroGPU.
DEFAULT_DURATION = 60.0

Seconds = float | int | timedelta
#: A fixed duration, or a callable that gets the arguments of the call.
Duration = Seconds | None | Callable[..., Seconds | None]


def seconds(value: Seconds | None) -> float:
    """Convert a duration to seconds; `None` means the default.

    Raises DefinitionError unless it is a positive, finite number of seconds.
    """
    if value is None:
        return DEFAULT_DURATION
    if type(value) is bool or not issubclass(type(value), (Real, timedelta)):
        raise DefinitionError(
            f"duration must be a number of seconds, a timedelta or a callable that returns one, got {glance(value)}"
        )
    try:
        number = value.total_seconds() if isinstance(value, timedelta) else float(value)
    except OverflowError:
        number = math.inf
    if not (number > 0 and math.isfinite(number)):
        raise DefinitionError(f"duration must be positive, got {number:g}")
    return number


def check_duration(duration: Duration) -> None:
    """Refuse, at decoration, a duration that can never be valid. Raises DefinitionError."""
    if not callable(duration):
        seconds(duration)


def check_size(size: str) -> Size:
    """The size by its name; without one, that of the Space. Raises DefinitionError, naming the sizes that exist."""
    try:
        return Size(size or os.environ.get(VARIABLE) or Size.LARGE)
    except ValueError:
        raise DefinitionError(f"size must be one of {', '.join(map(repr, map(str, Size)))}, got {size!r}") from None


def check_gpus(gpus: int) -> None:
    """Refuse a number of GPUs that no worker has. Raises DefinitionError."""
    if isinstance(gpus, bool) or gpus != 1:
        raise DefinitionError(
            f"gpus must be 1, got {glance(gpus)}: a task runs on one GPU so far. size='xlarge' requests a whole one"
        )
