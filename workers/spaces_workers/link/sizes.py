"""Sizes that a child tells: its worker adds those of all children, so that none may be less than nothing."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


class Sizes:
    """A message whose whole numbers are bytes. Raises ValueError for a negative one."""

    __slots__ = ()

    def __post_init__(self) -> None:
        told: Any = self  # Any: a dataclass
        for field in fields(told):
            value = getattr(told, field.name)
            if isinstance(value, int) and value < 0:
                raise ValueError(f"a child cannot hold {value} bytes: {field.name}")
