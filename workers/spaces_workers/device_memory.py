"""What a child holds of its device's memory, as it tells its worker; and what the worker may still give to others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any  # torch is not typed here

from spaces_workers import gpu
from spaces_workers.gpu import Device, DeviceReading
from spaces_workers.messages import MemoryUse

#: What a process with a CUDA context holds beside what torch has allocated: the context, kernels, workspaces.
#: Source: `benchmarks/gpu.py` on an H100, with the libraries that a pipeline loads.
CONTEXT_BYTES = 600 << 20

#: Added to what a Space was seen to need: fragmentation, and inputs somewhat larger than those before.
HEADROOM = 1.1


class DeviceMemory:
    """The memory of a device, or of a worker's share of one."""

    def __init__(
        self,
        device: Device,
        fraction: float = 1.0,
        reading: Callable[[Device], DeviceReading | None] = gpu.reading,
    ) -> None:
        self.budget_bytes = int(device.memory_bytes * fraction)
        self.is_real = device.kind != "standin"
        self._device = device
        self._reading = reading

    def free_bytes(self, held_bytes: int) -> int:
        """What is left to this worker, whose children hold so much: by account, and no more than the driver has."""
        by_account = self.budget_bytes - held_bytes
        now = self._reading(self._device)
        return by_account if now is None else min(by_account, now.total_bytes - now.used_bytes)


class Meter:
    """In a child: what it holds. On a stand-in, where memory is not the device's, it is the weights alone."""

    def __init__(self, weights_bytes: int, on_gpu: bool) -> None:
        self._weights_bytes = weights_bytes
        self._on_gpu = on_gpu

    def begin(self) -> None:
        """A task begins: what it needs at most is measured from here."""
        if (cuda := self._cuda) is not None:
            cuda.reset_peak_memory_stats()

    def read(self) -> MemoryUse:
        """What is held now, and the most since `begin`."""
        if not self._on_gpu:
            return MemoryUse(self._weights_bytes, self._weights_bytes)
        if (cuda := self._cuda) is None:
            return MemoryUse(CONTEXT_BYTES, CONTEXT_BYTES)
        return MemoryUse(cuda.memory_reserved() + CONTEXT_BYTES, cuda.max_memory_reserved() + CONTEXT_BYTES)

    def trim(self) -> MemoryUse:
        """Give back what torch keeps for later, and tell what is held then."""
        if (cuda := self._cuda) is not None:
            cuda.empty_cache()
        return self.read()

    @property
    def _cuda(self) -> Any:
        """`torch.cuda`, once this process uses it for real."""
        torch = sys.modules.get("torch") if self._on_gpu else None
        return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


class Needs:
    """What each Space was seen to need of a device; one that was never seen there may need all of it."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._peaks: dict[tuple[str, str], int] = {}

    def learn(self, space: str, revision: str, use: MemoryUse) -> None:
        """A task of a Space has ended, and its child has told what it used."""
        key = space, revision
        self._peaks[key] = max(self._peaks.get(key, 0), use.peak_bytes)

    def learn_shortage(self, space: str, revision: str) -> None:
        """A task found too little memory: give it all there is next time."""
        self._peaks[space, revision] = self._memory.budget_bytes

    def of(self, space: str, revision: str, weights_bytes: int) -> int:
        """Bytes that a Space's child needs in all."""
        peak = self._peaks.get((space, revision))
        if peak is None:
            peak = self._memory.budget_bytes if self._memory.is_real else weights_bytes
        return min(self._memory.budget_bytes, max(weights_bytes, int(peak * HEADROOM)))
