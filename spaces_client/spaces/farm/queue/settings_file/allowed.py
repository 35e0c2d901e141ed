"""The values that a key of `farm.toml` allows. In an error, `str` of each follows "must be"."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Number:
    """A number; TOML's `inf` is one too."""

    least: float
    most: float = math.inf
    whole: bool = False

    def __str__(self) -> str:
        most = "" if math.isinf(self.most) else f" and at most {self.most:.15g}"
        return f"{'a whole number' if self.whole else 'a number'} of at least {self.least:g}{most}"

    def allows(self, value: object) -> bool:
        """Whether the value is allowed."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        return self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Words:
    """One of some words."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"one of {', '.join(self.words)}"

    def allows(self, value: object) -> bool:
        """Whether the value is allowed."""
        return value in self.words


@dataclass(frozen=True, slots=True)
class Paths:
    """A list of absolute paths."""

    def __str__(self) -> str:
        return "a list of absolute paths"

    def allows(self, value: object) -> bool:
        """Whether the value is allowed."""
        return isinstance(value, list) and all(isinstance(each, str) and os.path.isabs(each) for each in value)


Allowed: TypeAlias = Number | Words | Paths
