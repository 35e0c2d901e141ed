"""Finds threads of the Space itself that its functions may depend on: those that wait for work.

A thread that reads a queue, or waits for an event, works for other code; in a fork it is missing. A thread that sleeps,
polls or serves is assumed to belong to the page, and not to be needed by functions.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from spaces_workers.forking.native_threads import waits_for_another


@dataclass(frozen=True, slots=True)
class WaitingThread:
    """A thread that waits for work from another thread."""

    name: str
    line: str  #: the line of the Space in which it waits: `app.py, line 12`


def waiting_threads(root: Path) -> list[WaitingThread]:
    """The threads of the Space in this folder that wait for work, without the main thread."""
    frames = sys._current_frames()
    found = []
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        if frame is None or thread in (threading.main_thread(), threading.current_thread()):
            continue
        line = line_within(frame, root)
        if line and thread.native_id and waits_for_another(thread.native_id):
            found.append(WaitingThread(thread.name, line))
    return found


def line_within(frame: FrameType, root: Path) -> str:
    """The innermost line of a stack in the Space's own files; empty if there is none."""
    for each in _outwards(frame):
        path = Path(each.f_code.co_filename)
        if path.is_relative_to(root) and not {"site-packages", "dist-packages"} & set(path.parts):
            return f"{path.relative_to(root)}, line {each.f_lineno}"
    return ""


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
