"""Threads that outlive their task: one that still computes would disturb the next task; one that waits would not.

A streamer's generating thread runs for a moment after its visitor has left; tqdm's monitor and the idle threads of an
executor stay for good and do nothing.
"""

from __future__ import annotations

import sys
import threading
import time

#: Seconds between two checks of a thread that has not ended.
_LOOK_INTERVAL = 0.05

#: Functions in which the innermost frame of a waiting thread is.
_WAITING = ("/threading.py", "/queue.py", "/selectors.py", "/socket.py", "/concurrent/futures/thread.py")


def settled(before: set[threading.Thread], patience: float) -> bool:
    """Whether every thread that is not in `before` ends, or only waits, within `patience` seconds."""
    deadline = time.monotonic() + patience
    for thread in set(threading.enumerate()) - before:
        while thread.is_alive() and not _waits(thread):
            if time.monotonic() > deadline:
                return False
            thread.join(_LOOK_INTERVAL)
    return True


def _waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_filename.endswith(_WAITING)
