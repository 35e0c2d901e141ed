"""A worker whose residency is the real one, and whose children and tasks are waits."""

from __future__ import annotations

import threading
import time
from typing import cast

from benchmarks.scale.light_worker import LightWorker
from spaces.farm.queue.rules import Rules
from spaces.farm.task import Lease
from spaces_workers.gpu.devices import standin
from spaces_workers.link.messages import MemoryUse, ZygoteSpec
from spaces_workers.worker.child_link import ChildLink
from spaces_workers.worker.gpu_memory.device_memory import DeviceMemory
from spaces_workers.worker.gpu_memory.residency import Residency
from spaces_workers.worker.gpu_memory.swap_costs import Level

ZYGOTE_SECONDS = 0.2
SWAP_SECONDS = 0.2
TASK_SECONDS = 0.02


class _Child:
    gone = False

    def __init__(self, spec: ZygoteSpec) -> None:
        self.spec = spec
        self.used_at = 0.0
        self.tasks_done = 0
        self.memory = MemoryUse(0, 0)

    def discard(self) -> None:
        pass


class SlotWorker:
    """Keeps `warm` Spaces; a swap takes SWAP_SECONDS, the first of a Space ZYGOTE_SECONDS more."""

    def __init__(self, url: str, name: str, warm: int, rules: Rules, *, weighs_warmth: bool = True) -> None:
        self.swaps = 0
        self.done = threading.Semaphore(0)  #: released for each task that was served
        self._residency = Residency(warm, DeviceMemory(standin(0)))
        self._seen: set[str] = set()
        if weighs_warmth:
            self._worker = LightWorker(url, name, self._serve, self._residency.warmth, rules)
        else:
            self._worker = LightWorker(url, name, self._serve, rules=rules)
        self._thread = self._worker.start()

    def stop(self) -> None:
        """Return when it has stopped, a second later at most."""
        self._worker.stopping.set()
        self._thread.join()

    def _serve(self, lease: Lease) -> None:
        spec = ZygoteSpec(lease.task.space, "1", "app.py", "python", b"")
        child = self._residency.take(spec) or self._made(spec)
        time.sleep(TASK_SECONDS)
        self._residency.keep(child)
        self.done.release()

    def _made(self, spec: ZygoteSpec) -> ChildLink:
        self.swaps += 1
        self._residency.make_room_for_new(spec, weights_bytes=0)
        level = Level.HOST if spec.space in self._seen else Level.UNSEEN
        self._seen.add(spec.space)
        with self._residency.measured(spec.space, level):
            time.sleep(SWAP_SECONDS + (ZYGOTE_SECONDS if level is Level.UNSEEN else 0.0))
        return cast(ChildLink, _Child(spec))
