"""Formats seconds, bytes and places for people."""

from __future__ import annotations

import math

_BYTES = ("bytes", "KiB", "MiB", "GiB", "TiB")

_MINUTE, _HOUR = 60.0, 3600.0


def seconds_in_words(seconds: float) -> str:
    """`40 s`, `3 min` or `1.5 h`: about two digits, because longer waits need no seconds."""
    if seconds < 10:
        return f"{math.ceil(seconds)} s"
    if seconds < 2 * _MINUTE:
        return f"{5 * round(seconds / 5)} s"
    if seconds < 2 * _HOUR:
        return f"{round(seconds / _MINUTE)} min"
    return f"{round(seconds / _HOUR, 1):g} h"


def bytes_in_words(number: float) -> str:
    """`512 bytes`, `1.5 GiB`: three digits at most."""
    power = 0
    while round(number) >= 1000 and power < len(_BYTES) - 1:
        number /= 1024
        power += 1
    return f"{number:.3g} {_BYTES[power]}"


def ordinal(number: int) -> str:
    """`1st`, `12th`, `23rd`."""
    teens = 10 <= number % 100 < 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
