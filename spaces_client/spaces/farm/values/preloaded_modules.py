"""The modules that a process had in memory before its Space's script began, because it is a fork of a fork server."""

from __future__ import annotations

import sys
from itertools import takewhile

_preloaded: frozenset[str] = frozenset()
_last = ""


def note() -> None:
    """In a fork server: the modules that are in memory now are none of a Space's."""
    global _preloaded, _last
    _preloaded, _last = frozenset(sys.modules), next(reversed(sys.modules))


def modules_since() -> list[str]:
    """Names of the modules that were imported since, in the order in which that ended; of all where this is no fork.

    The newest are looked at first, and no others: looking at a name copies the page of memory in which it lies.
    """
    newest = takewhile(lambda name: name != _last, reversed(sys.modules))
    return [name for name in newest if name not in _preloaded][::-1]
