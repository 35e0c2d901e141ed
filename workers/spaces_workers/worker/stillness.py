"""Whether a child does anything: looked at from outside, because one that hangs may hold its interpreter's lock."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Where the threads of a process sleep that waits for nothing but itself: on locks, or in an idle event loop.
#: Source: the kernel's names of `wait4` and friends in /proc/PID/task/TID/wchan, Linux 5.4 to 6.18.
_LOCKS, _IDLE = ("futex",), ("futex", "ep_poll", "do_epoll_wait")

#: Share of a processor below which a process counts as still: timers of idle threads need some.
_STILL = 0.02


@dataclass(frozen=True, slots=True)
class Activity:
    """What a process and its descendants did until now."""

    at: float  #: on the monotonic clock
    processor_seconds: float
    waits_for_itself: bool  #: threads wait for locks, and none for anything outside of the process

    def still_seconds(self, now: Activity) -> float:
        """Seconds for which nothing was computed, and nothing was waited for but locks; 0 if anything was."""
        seconds = now.at - self.at
        used = now.processor_seconds - self.processor_seconds
        both = self.waits_for_itself and now.waits_for_itself
        return seconds if both and used <= _STILL * seconds else 0.0


def activity_of(pid: int) -> Activity | None:
    """Of a process; None when it is gone, or may not be looked at."""
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
    """The main thread, which hears the worker, does not count."""
    places = [(task / "wchan").read_text() for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]
    return all(place.startswith(_IDLE) for place in places) and any(place.startswith(_LOCKS) for place in places)
