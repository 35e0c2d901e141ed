"""Checks whether a child is active, from outside, because a hanging child may hold its interpreter's lock."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Kernel functions in which the threads of a process sleep that only waits for itself: on locks, or in an event loop.
#: Source: the kernel's names of `wait4` and friends in /proc/PID/task/TID/wchan, Linux 5.4 to 6.18.
_LOCKS, _IDLE = ("futex",), ("futex", "ep_poll", "do_epoll_wait")

#: Share of a processor below which a process counts as inactive; timers of idle threads use a little.
_STILL = 0.02


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of a process and its descendants so far."""

    at: float  #: on the monotonic clock
    processor_seconds: float
    waits_for_itself: bool  #: its threads wait for locks, and none waits for another process or a device

    def still_seconds(self, now: Activity) -> float:
        """Seconds without computation in which it waited only for locks; 0 if it was active."""
        seconds = now.at - self.at
        used = now.processor_seconds - self.processor_seconds
        both = self.waits_for_itself and now.waits_for_itself
        return seconds if both and used <= _STILL * seconds else 0.0


def activity_of(pid: int) -> Activity | None:
    """The activity of a process; None if it is gone, or cannot be read."""
    try:
        process = psutil.Process(pid)
        others = process.children(recursive=True)
        used = sum(_processor_seconds(each) for each in (process, *others))
        return Activity(time.monotonic(), used, _waits_for_itself(pid))
    except (psutil.Error, OSError):
        return None


def _processor_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _waits_for_itself(pid: int) -> bool:
    """Whether the threads wait so, except the main thread, which receives the worker's messages."""
    places = [(task / "wchan").read_text() for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
    return all(place.startswith(_IDLE) for place in places) and any(place.startswith(_LOCKS) for place in places)
