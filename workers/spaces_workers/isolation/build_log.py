"""Writes the log of how a Space came to be: the making of its environment, and the trials of its revisions.

A page that makes its environment may not open the file where Spaces are separated; it inherits a descriptor.
If the log cannot be written, for example on a full disk, the work goes on, and the process's logger says so once.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from spaces.farm import log_files

logger = logging.getLogger(__name__)

Say = Callable[[str], None]

#: The descriptor by which a page writes to its Space's log of builds.
VARIABLE = "ZEROFARM_BUILD_LOG"

#: A log longer than this is renamed to `.1` before more is written.
KEPT_BYTES = 5 * 1024 * 1024


class BuildLog:
    """The log of one Space."""

    def __init__(self, state_dir: Path, space: str) -> None:
        self.path = log_files.of_builds(state_dir, space)

    def open(self) -> int | None:
        """A descriptor that appends to it; none if it cannot be opened."""
        try:
            return self._opened()
        except OSError as error:
            _complain(str(error))
            return None

    def note(self, text: str) -> None:
        """Append lines, each with its time."""
        fd = self.open()
        if fd is None:
            return
        try:
            _write(fd, text)
        finally:
            os.close(fd)

    def beside(self, say: Say) -> Say:
        """A function that notes each text and passes it to `say`."""

        def both(text: str) -> None:
            self.note(text)
            say(text)

        return both

    def _opened(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size > KEPT_BYTES:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def inherited() -> Say:
    """Appends lines to the log whose descriptor this process has inherited; does nothing without. Ask once.

    No process that this one starts or becomes inherits it again.
    """
    number = os.environ.pop(VARIABLE, "")
    if not number:
        return lambda _: None
    fd = int(number)
    os.set_inheritable(fd, False)
    return lambda text: _write(fd, text)


def _write(fd: int, text: str) -> None:
    try:
        os.write(fd, _stamped(text))
    except OSError as error:
        _complain(str(error))


@functools.cache
def _complain(problem: str) -> None:
    logger.warning("the log of builds is not complete: %s", problem)


def _stamped(text: str) -> bytes:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return "".join(f"{now} {line}\n" for line in text.splitlines()).encode(errors="replace")
