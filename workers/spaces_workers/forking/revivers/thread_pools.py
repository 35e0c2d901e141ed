"""`ThreadPoolExecutor`: it counts its lost threads as idle, and starts no new ones."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """Executors start without threads in a child; queued work gets new ones there."""
    executors = [each for each in objects.of(ThreadPoolExecutor) if each._threads and not each._shutdown]

    def revive() -> None:
        for each in executors:
            _renew(each)

    return revive if executors else None


def _renew(executor: Any) -> None:  # Any: its attributes are Python's own
    waiting = executor._work_queue
    executor._work_queue = SimpleQueue()
    executor._threads = set()
    executor._idle_semaphore = threading.Semaphore(0)
    executor._shutdown_lock = threading.Lock()
    while True:
        try:
            executor._work_queue.put(waiting.get_nowait())
        except Empty:
            return
        executor._adjust_thread_count()
