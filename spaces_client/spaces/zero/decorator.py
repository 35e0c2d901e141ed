"""`from spaces.zero.decorator import GPU`, as some libraries for Spaces import it, and the types for annotations."""

from __future__ import annotations

from typing import ParamSpec, TypeVar

from spaces.decorator import GPU

__all__ = ["GPU", "P", "R"]

P = ParamSpec("P")
R = TypeVar("R")
