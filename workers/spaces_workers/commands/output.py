"""The output of commands that print tables, on a terminal or into a pipe."""

from __future__ import annotations

import sys

from rich.console import Console

#: Columns of a line that no terminal wraps: tables are as wide as their cells need.
ENDLESS = 10_000


def output() -> Console:
    """A console on the standard output; only a terminal limits its lines."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else ENDLESS)
