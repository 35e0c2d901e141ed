"""The arguments of a call in a few words, for Flower and the command line: plain values shortened, others by type."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

#: Characters that are shown of all arguments together.
LENGTH = 120

_PLAIN = (bool, int, float, str, type(None))


def summary(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Plain values shortened, everything else by its type."""
    parts = [_glance(value) for value in args] + [f"{name}={_glance(value)}" for name, value in kwargs.items()]
    text = ", ".join(parts)
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def _glance(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return reprlib.repr(value)
    shape = getattr(value, "shape", None) or getattr(value, "size", None)
    return f"<{type(value).__name__}{f' {tuple(shape)}' if isinstance(shape, tuple | list) else ''}>"
