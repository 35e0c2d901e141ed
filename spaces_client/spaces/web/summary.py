"""Summarizes the arguments of a call, for Flower and the command line: plain values shortened, others by type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spaces.farm.values.glance import glance

#: Characters that are shown of all arguments together.
LENGTH = 120


def summary(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Plain values shortened, everything else by its type; no argument's own code runs."""
    text = ""
    for part in _parts(args, kwargs):
        text += f", {part}" if text else part
        if len(text) > LENGTH:
            text = f"{text[: LENGTH - 1]}…"
            break
    return text.encode(errors="backslashreplace").decode()


def _parts(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[str]:
    yield from map(glance, args)
    for name, value in kwargs.items():
        yield f"{name}={glance(value)}"
