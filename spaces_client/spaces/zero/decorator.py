"""`from spaces.zero.decorator import GPU`, as libraries for Spaces write it, and the names that they annotate by."""

from __future__ import annotations

from typing import ParamSpec, TypeVar

from spaces.decorator import GPU

__all__ = ["GPU", "P", "R"]

P = ParamSpec("P")
R = TypeVar("R")
