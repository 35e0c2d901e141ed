"""New threads for what a fork has lost them of: prepared once in the zygote, done in each child."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from importlib import import_module

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Prepare, Revive

logger = logging.getLogger(__name__)

#: The reviver of each library. One is imported only where its library is. Order matters: locks and conditions first,
#: because the others use them, and event loops after the executors that they hand work to.
REVIVERS = {
    "threading": "conditions",
    "concurrent.futures.thread": "thread_pools",
    "concurrent.futures.process": "process_pools",
    "multiprocessing.pool": "multiprocessing_pools",
    "logging.handlers": "queue_listeners",
    "asyncio": "event_loops",
    "cv2": "opencv",
    "duckdb": "duckdb_connections",
    "onnxruntime": "onnxruntime_sessions",
}


@dataclass(frozen=True, slots=True)
class Revival:
    """What a child of this zygote does after its fork."""

    steps: tuple[tuple[str, Revive], ...]  #: by library

    def carry_out(self) -> None:
        """In a child: give everything new threads. What fails is told and left as the fork made it."""
        for library, revive in self.steps:
            try:
                revive()
            except Exception:
                logger.exception("what %s lost by the fork could not be given back", library)


def prepare() -> Revival:
    """In a zygote, before its objects are frozen and before its first fork."""
    objects = Objects()
    steps = []
    for library, name in REVIVERS.items():
        if library in sys.modules:
            reviver: Prepare = import_module(f"spaces_workers.forking.revivers.{name}").prepare
            try:
                revive = reviver(objects)
            except Exception:
                logger.exception("what %s loses by a fork could not be looked for", library)
                continue
            if revive is not None:
                steps.append((library, revive))
    return Revival(tuple(steps))
