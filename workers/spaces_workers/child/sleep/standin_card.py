"""The card of a CPU stand-in: a memory of a given size, and a bus of a given speed on which copies really happen.

Tensors on emulated cuda count as being on it; their bytes are memory of the process, like all others.
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

from spaces import emulation
from spaces_workers.child.sleep.card import HostBytes, Storage
from spaces_workers.child.sleep.storages import storages
from spaces_workers.gpu.standin_memory import StandInMemory
from spaces_workers.link.messages import StandIn

#: The speed of copies from and to memory that is not pinned, as a part of the bus's. Source: 15 to 18 of 55 GB/s on an
#: H200, see `benchmarks/README.md`.
UNPINNED = 0.3

#: Bytes that are copied between two looks at the clock.
STEP_BYTES = 4 << 20


class StandInCard:
    """One child's view of it."""

    def __init__(self, spec: StandIn) -> None:
        self.memory = StandInMemory(Path(spec.memory_file), spec.memory_bytes)
        self._speed = spec.bus_speed

    def take_weights(self) -> None:
        """Move what the script has put on emulated cuda to the card. Raises an `OutOfMemoryError`."""
        emulation.move_weights(lambda found: [self._uploaded(storage) for storage in found])

    def held_bytes(self) -> int:
        """The bytes on the card, counted anew: tasks make and drop tensors without asking it."""
        held: int = sum(storage.nbytes() for storage in storages(self.holds))
        self.memory.hold(held)
        return held

    def obstacle(self) -> str:
        return ""

    def holds(self, storage: Storage) -> bool:
        return bool(emulation.is_emulated_storage(storage) and storage.nbytes() and storage.resizable())

    def fetch(self, storage: Storage, into: HostBytes, *, pinned: bool) -> None:
        self._copy(into.data_ptr(), storage.data_ptr(), storage.nbytes(), pinned)

    def release(self, storage: Storage) -> None:
        size = storage.nbytes()
        storage.resize_(0)
        self.memory.give_back(size)

    def prepare(self, size: int) -> None:
        pass

    def restore(self, storage: Storage, source: HostBytes, *, pinned: bool) -> None:
        self.memory.take(source.numel())
        storage.resize_(source.numel())
        self._copy(storage.data_ptr(), source.data_ptr(), source.numel(), pinned)

    def drop(self) -> None:
        pass

    def settle(self) -> None:
        pass

    def finish(self) -> None:
        pass

    def _uploaded(self, storage: Storage) -> Storage:
        import torch

        self.memory.take(storage.nbytes())
        target = torch.UntypedStorage(storage.nbytes())
        self._copy(target.data_ptr(), storage.data_ptr(), storage.nbytes(), pinned=False)
        return target

    def _copy(self, target: int, source: int, size: int, pinned: bool) -> None:
        speed = self._speed if pinned else self._speed * UNPINNED
        started = time.monotonic()
        for begin in range(0, size, STEP_BYTES):
            end = min(begin + STEP_BYTES, size)
            ctypes.memmove(target + begin, source + begin, end - begin)
            time.sleep(max(0.0, started + end / speed - time.monotonic()))
