"""Threads that outlive their task: one that still computes would disturb the next task; one that waits would not.

A streamer's generating thread runs for a moment after its visitor has left; tqdm's monitor and the idle threads of an
executor stay for good and do nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable

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


def are_settled(before: set[threading.Thread]) -> bool:
    """Whether every other thread that is not in `before` has ended, or only waits; the calling thread ends soon."""
    others = set(threading.enumerate()) - before - {threading.current_thread()}
    return all(not thread.is_alive() or _waits(thread) for thread in others)


def do_nothing(threads: Iterable[threading.Thread]) -> bool:
    """Whether each of these computes nothing by itself, now or later: an executor's idle thread, or tqdm's monitor."""
    return all(_waits_for_work(thread) or type(thread).__module__ == "tqdm._monitor" for thread in threads)


def _waits_for_work(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_filename.endswith("/concurrent/futures/thread.py")


def _waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_filename.endswith(_WAITING)
