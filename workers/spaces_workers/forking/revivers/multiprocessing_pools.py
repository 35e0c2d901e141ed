"""`multiprocessing.Pool` and `ThreadPool`: the managing threads are lost, and the processes belong to the zygote."""

from __future__ import annotations

from multiprocessing import pool
from typing import Any

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """Open pools are remade in a child, with the child's own processes."""
    pools: list[Any] = objects.of(pool.Pool)  # Any: its attributes are Python's own
    used = [each for each in pools if each._state == pool.RUN]

    def revive() -> None:
        for each in used:
            pool.Pool.__init__(
                each, each._processes, each._initializer, each._initargs, each._maxtasksperchild, each._ctx
            )

    return revive if used else None
