"""Accounts for a device's memory: the bytes that children hold, and the bytes that are left."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from spaces.errors import SpacesError
from spaces.farm.units import bytes_in_words
from spaces_workers.gpu import devices
from spaces_workers.gpu.devices import Device, DeviceReading
from spaces_workers.link.messages import MemoryUse, ZygoteSpec

#: Margin on the most memory that a Space was seen to need, for fragmentation and somewhat larger inputs.
HEADROOM = 1.15


class DoesNotFit(SpacesError):
    """The weights of a Space are larger than the memory that it may have. Operators see the message."""


class DeviceMemory:
    """The memory of a device, or of a worker's share of one."""

    def __init__(
        self,
        device: Device,
        fraction: float = 1.0,
        reading: Callable[[Device], DeviceReading | None] = devices.reading,
        *,
        limited: bool = False,
    ) -> None:
        self.budget_bytes = int(device.memory_bytes * fraction)
        self.is_real = device.kind != "standin" or limited  #: it can be full
        self._device = device
        self._reading = reading

    def free_bytes(self, held_bytes: int) -> int:
        """Bytes left to this worker, whose children hold `held_bytes`; at most the driver's free memory."""
        by_account = self.budget_bytes - held_bytes
        now = self._reading(self._device)
        return by_account if now is None else min(by_account, now.total_bytes - now.used_bytes)

    def check(self, space: str, weights_bytes: int, beside: Mapping[str, int]) -> None:
        """Raise DoesNotFit if a Space has more weights than there is memory beside that of others, by name."""
        if not self.is_real or weights_bytes <= self.budget_bytes - sum(beside.values()):
            return
        stay = f", where {' and '.join(sorted(beside))} keep their places" if beside else ""
        weights, budget = bytes_in_words(weights_bytes), bytes_in_words(self.budget_bytes)
        raise DoesNotFit(
            f"Space {space!r} does not fit: it has {weights} of weights, and the worker's device {budget}{stay}"
        )


class Needs:
    """The memory that each Space was seen to need. A new Space, or one that ran out, needs the whole device."""

    def __init__(self, memory: DeviceMemory) -> None:
        self._memory = memory
        self._peaks: dict[tuple[str, str], int] = {}
        self._short: set[tuple[str, str]] = set()

    def learn(self, spec: ZygoteSpec, use: MemoryUse) -> None:
        """Learn from a successful task, whose child reported its use, if known."""
        if use.peak_bytes is not None:
            self._peaks[_key(spec)] = max(self._peaks.get(_key(spec), 0), use.peak_bytes)
            self._short.discard(_key(spec))

    def learn_shortage(self, spec: ZygoteSpec) -> None:
        """Learn that a task ran out of memory."""
        self._short.add(_key(spec))

    def least(self, spec: ZygoteSpec, weights_bytes: int) -> int:
        """Bytes without which a Space's child cannot begin: its weights, until more is known of it."""
        is_new = _key(spec) not in self._peaks and _key(spec) not in self._short
        return min(self._memory.budget_bytes, weights_bytes) if is_new else self.of(spec, weights_bytes)

    def of(self, spec: ZygoteSpec, weights_bytes: int) -> int:
        """Bytes that a Space's child needs in all; at least `weights_bytes`."""
        peak = None if _key(spec) in self._short else self._peaks.get(_key(spec))
        unknown = self._memory.budget_bytes if self._memory.is_real else 0
        needed = unknown if peak is None else int(peak * HEADROOM)
        return min(self._memory.budget_bytes, max(weights_bytes, needed))


def _key(spec: ZygoteSpec) -> tuple[str, str]:
    return spec.space, spec.revision
