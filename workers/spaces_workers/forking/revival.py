"""Gives objects new threads in place of those that a fork has lost: prepared once in the zygote, done in each child."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from importlib import import_module

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Prepare, Revive

logger = logging.getLogger(__name__)

#: The reviver of each library, imported only if the library is. Order matters: locks and conditions first, because the
#: others use them, and event loops after the executors to which they pass work.
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
    "torch.utils.data.dataloader": "data_loaders",
}


@dataclass(frozen=True, slots=True)
class Revival:
    """The steps that a child of this zygote takes after its fork."""

    steps: tuple[tuple[str, Revive], ...]  #: by library

    def carry_out(self) -> None:
        """In a child: give all objects new threads. A failure is logged, and its objects stay without."""
        for library, revive in self.steps:
            try:
                revive()
            except Exception:
                logger.exception("the threads of %s, lost in the fork, could not be replaced", library)


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
                logger.exception("the threads of %s, to be lost in a fork, could not be searched for", library)
                continue
            if revive is not None:
                steps.append((library, revive))
    return Revival(tuple(steps))
