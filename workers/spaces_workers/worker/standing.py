"""Says in one line each when a worker is ready for tasks, when it is drained, and when it takes tasks again.

The lines are on the standard output, and told to the service manager. A worker that starts drained is ready first.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from celery.signals import worker_ready

from spaces.farm.queue.queue import Queue
from spaces_workers.link.service_manager import ServiceManager

READY, DRAINED, AGAIN = "is ready", "is drained", "takes tasks again"


class Standing:
    """The standing of one worker. `look` is called with each of its beats."""

    def __init__(self, node: str, worker: str, manager: ServiceManager) -> None:
        self._node = node
        self._worker = worker
        self._manager = manager
        self._consumes = threading.Event()
        self._is_drained: bool | None = None
        worker_ready.connect(self._note_ready)

    def look(self, queue: Queue) -> None:
        """Tell what has changed since the last look. Raises redis's errors."""
        if not self._consumes.is_set():
            return
        is_drained = _is_drained(queue, self._node, self._worker)
        if is_drained == self._is_drained:
            return
        was_drained, self._is_drained = self._is_drained, is_drained
        if was_drained is None:
            self._say(READY, self._manager.ready)
        if is_drained:
            self._say(DRAINED, self._manager.status)
        elif was_drained:
            self._say(AGAIN, self._manager.status)

    def leave(self) -> None:
        """The worker stops."""
        self._manager.stopping()

    def _note_ready(self, **_: Any) -> None:  # Any: Celery's own
        self._consumes.set()

    def _say(self, standing: str, tell: Callable[[str], None]) -> None:
        print(f"{self._node} {standing}", file=sys.__stdout__, flush=True)  # Celery takes `sys.stdout` for its log
        tell(f"{self._node} {standing}")


def _is_drained(queue: Queue, node: str, worker: str) -> bool:
    """Whether it may take no task and has none, not even one that it does not know of yet."""
    with queue.redis.pipeline() as pipe:
        pipe.smismember(queue.keys.drained(), [node, worker])
        pipe.scard(queue.keys.held(worker))
        may_not, held = pipe.execute()
    return any(may_not) and not held
