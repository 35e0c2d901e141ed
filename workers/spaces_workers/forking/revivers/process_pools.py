"""`ProcessPoolExecutor`: the managing thread is lost, and the processes belong to the zygote."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """Executors with processes are remade in a child, which starts new processes on demand."""
    used: list[Any] = [  # Any: its attributes are Python's own
        each for each in objects.of(ProcessPoolExecutor) if each._executor_manager_thread is not None
    ]

    def revive() -> None:
        for each in used:
            ProcessPoolExecutor.__init__(
                each,
                each._max_workers,
                each._mp_context,
                each._initializer,
                each._initargs,
                max_tasks_per_child=each._max_tasks_per_child,
            )

    return revive if used else None
