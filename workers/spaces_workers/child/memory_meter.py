"""Measures the device memory that a child holds, in the child itself."""

from __future__ import annotations

import sys
from typing import Any, Protocol  # Any: torch is not typed here

from spaces_workers.link.messages import MemoryUse

#: Bytes that a process with a CUDA context holds in addition to torch's allocations. Source: 602 MiB after the first
#: tensor, 768 MiB after the first matrix product and convolution, on an H100 with CUDA 13.
CONTEXT_BYTES = 768 << 20


class Meter(Protocol):
    """Measures this child's device memory."""

    def begin(self) -> None:
        """Start measuring the peak, at the start of a task."""

    def read(self) -> MemoryUse:
        """The memory held now, and the peak since `begin`."""

    def trim(self) -> MemoryUse:
        """Free cached memory; returns the memory still held."""


class GpuMeter:
    """Measures a real GPU by torch's counters. Nothing is known of a Space that computes without torch."""

    def begin(self) -> None:
        if (cuda := self._cuda) is not None:
            cuda.reset_peak_memory_stats()

    def read(self) -> MemoryUse:
        if (cuda := self._cuda) is None:
            return MemoryUse(CONTEXT_BYTES, None)
        return MemoryUse(cuda.memory_reserved() + CONTEXT_BYTES, cuda.max_memory_allocated() + CONTEXT_BYTES)

    def trim(self) -> MemoryUse:
        if (cuda := self._cuda) is not None:
            cuda.empty_cache()
        return self.read()

    @property
    def _cuda(self) -> Any:
        """`torch.cuda`, once this process uses it."""
        torch = sys.modules.get("torch")
        return torch.cuda if torch is not None and torch.cuda.is_initialized() else None


class StandInMeter:
    """Measures a stand-in, which uses the host's memory: only the weights count."""

    def __init__(self, weights_bytes: int) -> None:
        self._use = MemoryUse(weights_bytes, weights_bytes)

    def begin(self) -> None:
        pass

    def read(self) -> MemoryUse:
        return self._use

    def trim(self) -> MemoryUse:
        return self._use


class HoldsBytes(Protocol):
    """A card that counts the bytes on it."""

    def held_bytes(self) -> int: ...


class CardMeter:
    """Measures a stand-in with limits: the tensors on it count."""

    def __init__(self, card: HoldsBytes) -> None:
        self._card = card
        self._peak = 0

    def begin(self) -> None:
        self._peak = self._card.held_bytes()

    def read(self) -> MemoryUse:
        held = self._card.held_bytes()
        self._peak = max(self._peak, held)
        return MemoryUse(held, self._peak)

    def trim(self) -> MemoryUse:
        return self.read()
