"""What a child holds of its device's memory, as it can tell itself."""

from __future__ import annotations

import sys
from typing import Any, Protocol  # Any: torch is not typed here

from spaces_workers.link.messages import MemoryUse

#: What a process with a CUDA context holds beside what torch allocates. Source: 602 MiB after the first tensor, 768 MiB
#: after the first matrix product and convolution, on an H100 with CUDA 13.
CONTEXT_BYTES = 768 << 20


class Meter(Protocol):
    """In a child: what it holds of its device."""

    def begin(self) -> None:
        """A task begins: the most that it needs is measured from here."""

    def read(self) -> MemoryUse:
        """What is held now, and the most that was needed since `begin`."""

    def trim(self) -> MemoryUse:
        """Give back what is only kept for later, and tell what is held then."""


class GpuMeter:
    """Of a real GPU, as far as torch knows. Of a Space that computes without torch nothing is known."""

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
    """Of a stand-in, whose memory is the host's: the weights alone count."""

    def __init__(self, weights_bytes: int) -> None:
        self._use = MemoryUse(weights_bytes, weights_bytes)

    def begin(self) -> None:
        pass

    def read(self) -> MemoryUse:
        return self._use

    def trim(self) -> MemoryUse:
        return self._use
