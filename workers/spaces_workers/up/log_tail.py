"""The end of a process's log since its start: the traceback that it died of, or its last lines."""

from __future__ import annotations

import os
import re
from pathlib import Path

from spaces.farm import log_lines
from spaces.import_progress import BEGUN, ENDED

TAIL_LINES = 20
TAIL_BYTES = 64 * 1024

#: A log longer than this is renamed to `.1` before its process is restarted.
KEPT_BYTES = 20 * 1024 * 1024

_PLACE = re.compile(r'^ +File "(.+)", line (\d+)', re.MULTILINE)
_TRACEBACK = "Traceback (most recent call last):"


class LogTail:
    """The part of a log that was written after this object was made."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _put_aside(path)
        self.path = path
        self._start = path.stat().st_size if path.exists() else 0

    def last_words(self) -> str:
        """The last traceback and the lines after it, else the last lines; empty if nothing was written."""
        text = self._text()
        before, found, traceback = text.rpartition(_TRACEBACK)
        if found:
            # An exception that was raised while another was handled: its cause stands above it.
            first = before.rfind(_TRACEBACK) if before.rstrip().endswith(("exception:", "occurred:")) else -1
            return text[first:] if first >= 0 else found + traceback
        return "\n".join(text.splitlines()[-TAIL_LINES:])

    def marked(self, mark: str) -> list[str]:
        """The lines that begin with `mark`, without it."""
        return [line.removeprefix(mark) for line in self._text().splitlines() if line.startswith(mark)]

    def importing(self) -> str:
        """The library that a Space's process imports now, as far as it has told; else empty."""
        lines = [line for line in self._text().splitlines() if line.startswith((BEGUN, ENDED))]
        return lines[-1].removeprefix(BEGUN) if lines and lines[-1].startswith(BEGUN) else ""

    def _text(self) -> str:
        if not self.path.exists():
            return ""
        with self.path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._start, size - TAIL_BYTES))
            return log_lines.unmarked(log.read().decode(errors="replace")).strip("\r\n")


def place_in(folder: Path, traceback: str) -> str:
    """The last place of a traceback that is in a file of this folder, as `app.py, line 3`; empty if there is none."""
    for file, line in reversed(_PLACE.findall(traceback)):
        if (path := Path(file)).is_relative_to(folder):
            return f"{path.relative_to(folder)}, line {line}"
    return ""


def _put_aside(path: Path) -> None:
    if path.exists() and path.stat().st_size > KEPT_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
