"""Children without processes: what they do advances a clock by the seconds that it would take."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spaces_workers.link.messages import MemoryUse, ZygoteSpec
from spaces_workers.link.sleep_messages import Asleep
from spaces_workers.worker.child_copies import Copies
from spaces_workers.worker.child_link import Halted

GB = 10**9


class Clock:
    """Simulated time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.halt_at = math.inf  #: when a task needs the device, for which a prefetch is halted

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        """Let time pass. Raises Halted at `halt_at`."""
        self.now += seconds
        if self.now > self.halt_at:
            self.now = self.halt_at
            raise Halted("a child")


@dataclass(frozen=True, slots=True)
class Speeds:
    """Seconds, and bytes in a second."""

    fork: float  #: seconds for a fork and, on a GPU, its context
    upload: float  #: weights of a new child
    pinned: float  #: copies from and to pinned memory
    ordinary: float  #: copies from and to ordinary memory
    digest: float  #: reading the weights to see whether they have changed
    context: int = 0  #: bytes of the device that a child holds also while it sleeps


#: An H200, from `benchmarks/README.md`; without a measurement, copies of ordinary memory are as fast as the upload, and
#: a context has half a GB.
H200 = Speeds(fork=0.36, upload=16 * GB, pinned=55 * GB, ordinary=16 * GB, digest=1500 * GB, context=GB // 2)

#: A stand-in with a bus of 1 GB/s, as `child/sleep/standin_card.py` has it, and a processor that digests 1.5 GB/s.
STAND_IN = Speeds(fork=0.04, upload=0.3 * GB, pinned=1.0 * GB, ordinary=0.3 * GB, digest=1.5 * GB)


class Child:
    """What `Residency` uses of a `ChildLink`."""

    gone = is_unable = False
    is_trimmed = True

    def __init__(self, spec: ZygoteSpec, size: int, speeds: Speeds, clock: Clock) -> None:
        self.spec = spec
        self.tasks_done = 0
        self.is_saved = False
        self.memory = MemoryUse(size + speeds.context, size + speeds.context)
        self.sleep: Asleep | None = None
        self.host_bytes = self._pinned = 0
        self.used_at = 0.0
        self._size = size
        self._speeds = speeds
        self._clock = clock
        self.copies = Copies()
        clock.spend(speeds.fork + size / speeds.upload)

    @property
    def pinned_bytes(self) -> int:
        """Pinned host memory that it holds."""
        return self._pinned

    def put_to_sleep(self, *, pinned: bool) -> None:
        """It takes no time after `save`."""
        self.save(pinned=pinned)
        self.memory = MemoryUse(self._speeds.context, None)
        self.sleep = Asleep(self.memory, self._size, self.host_bytes, self._pinned)

    def save(self, *, pinned: bool) -> None:
        """Read all weights; copy out what was not copied before. It keeps what it has when it is halted."""
        if self.is_saved:
            return
        self._clock.spend(self._size / self._speeds.digest)
        speed, began, had = self._speeds.pinned if pinned else self._speeds.ordinary, self._clock.now, self.host_bytes
        try:
            self._clock.spend((self._size - had) / speed)
            self.is_saved = True
        finally:
            copied = self._size - had if self.is_saved else int((self._clock.now - began) * speed)
            self.host_bytes = had + copied
            self._pinned += copied if pinned else 0

    def wake(self, *, keep: bool) -> None:
        """Copy all weights back; one that is awake only drops its copies."""
        if self.sleep is not None:
            self._clock.spend(self._size / (self._speeds.pinned if self._pinned else self._speeds.ordinary))
        if not keep:
            self.host_bytes = self._pinned = 0
        self.is_saved = keep
        self.memory, self.sleep = MemoryUse(self._size + self._speeds.context, None), None

    def halt(self) -> None:
        """The clock halts it."""

    def go_on(self) -> None:
        """The same."""

    def trim(self) -> None:
        """It keeps no memory for later."""

    def discard(self) -> None:
        """It takes no time."""
