"""A measurement that takes too long to be taken whenever its result is used."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

#: Seconds for which a result is used again, if nothing else is said.
LASTS = 1.0


class Recent(Generic[T]):
    """Returns the latest result; measures anew once it has lasted. Threads that call it at once may each measure."""

    def __init__(
        self, measure: Callable[[], T], lasts: float = LASTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._measure = measure
        self._lasts = lasts
        self._clock = clock
        self._result: T
        self._measured_at = -math.inf

    def __call__(self) -> T:
        """The result. Raises what the measurement raises."""
        if self._clock() - self._measured_at >= self._lasts:
            self._result, self._measured_at = self._measure(), self._clock()
        return self._result
