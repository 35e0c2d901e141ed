"""Lines that a Space writes begin with the time and its task: `21:03:04 3f2a9c11 loading weights`.

A page serves many tasks at once, and none of them runs there: its lines have `-` in place of one.

Only what is written by Python is marked so. Output of other languages and of subprocesses is left as it is.
"""

from __future__ import annotations

import io
import re
import sys
import time
from typing import TextIO

#: Characters of a task's id; `-` stands for none.
ID_LENGTH = 8

_MARK = re.compile(rf"^\d\d:\d\d:\d\d (?:-|[0-9a-f]{{{ID_LENGTH}}}) ", re.MULTILINE)


class _Now:
    """The task of this process. A child runs one at a time."""

    task = ""


def of_task(task: str) -> None:
    """All lines belong to this task from now on; empty: to none."""
    _Now.task = task


def install() -> None:
    """Mark the lines of this process and of its forks."""
    sys.stdout, sys.stderr = MarkedLines(sys.stdout), MarkedLines(sys.stderr)


class MarkedLines(io.TextIOWrapper):
    """Writes to the same file as a stream of Python, which must stay alive."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=True,
        )
        self._begins = True

    def write(self, text: str) -> int:
        """Write a text, which may end within a line."""
        super().write("".join(map(self._marked, re.findall(r"[^\n]*\n|[^\n]+", text))))
        return len(text)

    def _marked(self, part: str) -> str:
        mark = _mark() if self._begins else ""
        self._begins = part.endswith("\n")
        return mark + part


def marked(line: str) -> str:
    """A line with the mark, for a process that writes it by other means."""
    return f"{_mark()}{line}"


def unmarked(text: str) -> str:
    """A log without the marks."""
    return _MARK.sub("", text)


def _mark() -> str:
    return f"{time.strftime('%H:%M:%S')} {_Now.task[:ID_LENGTH] or '-'} "
