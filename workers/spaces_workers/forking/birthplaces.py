"""Records which line of a Space started which threads, while its script runs, for the log of lost threads.

A watcher thread checks every few milliseconds for new threads, and for the script's current line. Threads that were
started by a call that held the interpreter's lock, or that returned before the check, get a slightly later line.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from pathlib import Path

from spaces_workers.forking.own_threads import line_within

#: Seconds between two checks.
INTERVAL = 0.01


class Birthplaces:
    """Watches the threads of this process from `begin` to `end`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lines: dict[int, str] = {}
        self._over = threading.Event()
        self._ended = threading.Event()

    def begin(self) -> None:
        """Start to watch the calling thread's lines. The script cannot find the watcher thread."""
        self._known = self._threads()
        _thread.start_new_thread(self._watch, (threading.get_ident(),))

    def end(self) -> None:
        """Stop, and wait until the watcher has ended, so that the process may be forked."""
        self._over.set()
        self._ended.wait()

    def line_of(self, thread_id: int) -> str:
        """The line of the Space that started a thread; empty if unknown."""
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
