"""The memory of the host that each Space holds, through its web process, its zygote, and everything they started.

Pages that several processes share count in parts, one for each of them: see proc_pid_smaps(5), `Pss`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

import psutil

logger = logging.getLogger(__name__)

#: Seconds between two measurements, at least; and the share of one core that they may take together.
INTERVAL, SHARE = 5.0, 0.01


async def watch(roots: Callable[[], Mapping[str, Iterable[int]]], tell: Callable[[Mapping[str, int]], None]) -> None:
    """Measure for ever: `roots` gives the first processes of each Space, `tell` gets their bytes."""
    while True:
        seconds = 0.0
        try:
            found, seconds = await asyncio.to_thread(_timed, roots())
            tell(found)
        except (OSError, psutil.Error) as error:  # no descriptor to spare, for example
            logger.warning("the memory of Spaces is not measured now: %s", error)
        await asyncio.sleep(max(INTERVAL, seconds / SHARE))


def _timed(roots: Mapping[str, Iterable[int]]) -> tuple[dict[str, int], float]:
    began = time.thread_time()
    return proportional_bytes(roots), time.thread_time() - began


def proportional_bytes(roots: Mapping[str, Iterable[int]]) -> dict[str, int]:
    """Bytes by name: of the processes under that name, and of all their descendants."""
    children: defaultdict[int, list[psutil.Process]] = defaultdict(list)
    running = {process.pid: process for process in psutil.process_iter(["ppid"])}
    for process in running.values():
        children[process.info["ppid"]].append(process)
    return {
        name: sum(_bytes_of(each) for pid in pids if pid in running for each in _family(running[pid], children))
        for name, pids in roots.items()
    }


def _family(process: psutil.Process, children: Mapping[int, list[psutil.Process]]) -> Iterator[psutil.Process]:
    yield process
    for child in children.get(process.pid, ()):
        yield from _family(child, children)


def _bytes_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0  # it has ended, or is another user's
