"""The numbers that a key of `farm.toml` allows."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """The allowed values of a key."""

    least: float
    most: float = math.inf
    whole: bool = False

    def __str__(self) -> str:
        most = "" if math.isinf(self.most) else f" and at most {self.most:.15g}"
        return f"{'a whole number' if self.whole else 'a number'} of at least {self.least:g}{most}"

    def allows(self, value: object) -> bool:
        """Whether the value is allowed; TOML's `inf` is a number too."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.least <= value <= self.most
