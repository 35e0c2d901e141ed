"""Which line of a Space started which threads: looked at while its script runs, for the log of those that are lost.

A thread of ours looks every few milliseconds at what has been added, and where the script is then. What ended within
that time, or was started by a call that held the interpreter's lock, is told by a line that came a little later.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from pathlib import Path

from spaces_workers.forking.own_threads import line_within

#: Seconds between two looks.
INTERVAL = 0.01


class Birthplaces:
    """Watches the threads of this process from `begin` to `end`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines: dict[int, str] = {}
        self._over = threading.Event()
        self._ended = threading.Event()

    def begin(self) -> None:
        """Begin to watch the calling thread's lines. The watcher is no thread that the script could find."""
        self._known = self._threads()
        _thread.start_new_thread(self._watch, (threading.get_ident(),))

    def end(self) -> None:
        """Stop, and wait until the watcher has gone: the process may be forked after it."""
        self._over.set()
        self._ended.wait()

    def line_of(self, thread_id: int) -> str:
        """The line of the Space that started a thread; empty where nobody saw it."""
        return self._lines.get(thread_id, "")

    def _watch(self, script: int) -> None:
        self._known.add(threading.get_native_id())
        while not self._over.wait(INTERVAL):
            if added := self._threads() - self._known:
                frame = sys._current_frames().get(script)
                line = line_within(frame, self._root) if frame else ""
                self._lines.update(dict.fromkeys(added, line))
                self._known |= added
        self._ended.set()

    @staticmethod
    def _threads() -> set[int]:
        return set(map(int, os.listdir("/proc/self/task")))
