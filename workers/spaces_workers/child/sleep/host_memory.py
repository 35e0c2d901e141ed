"""The host memory that a sleeping child keeps its weights in: copies of storages by their content.

Bytes that are the same are kept once, and found again at the next sleep. The memory is pinned where the driver agrees:
then the GPU reads it itself, at the full speed of the bus. All of it goes with the process, except what it shares with
others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from spaces_workers.child.sleep.card import HostBytes
from spaces_workers.child.sleep.region import Driver, Key, Region
from spaces_workers.child.sleep.sealed_memory import sealed_copy

#: Contents with fewer bytes are not shared, and lie in one region.
SMALL = 1 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """The bytes of a storage in host memory."""

    bytes: HostBytes
    pinned: bool


class HostMemory:
    """Copies by content. `driver` pins them; without one they count as pinned.

    Larger contents lie in regions by the first byte of their digest: another child that has most of them has most of
    the regions too.
    """

    def __init__(self, driver: Driver | None) -> None:
        self._driver = driver
        self._copies: dict[Key, Region] = {}
        self._regions: list[Region] = []

    @property
    def size_bytes(self) -> int:
        """Bytes of all memory that is kept."""
        return sum(region.size for region in self._regions)

    @property
    def pinned_bytes(self) -> int:
        return sum(region.size for region in self._regions if region.pinned)

    @property
    def sharable(self) -> list[Region]:
        """The regions that can be shared: those that are pinned only if they can be pinned read-only."""
        large = [region for region in self._regions if _is_large(next(iter(region.places)))]
        pinned_too = self._driver is None or self._driver.pins_read_only
        return [region for region in large if pinned_too or not region.pinned]

    def __getitem__(self, key: Key) -> Copy:
        region = self._copies[key]
        return Copy(region.of(key), region.pinned)

    def lacking(self, wanted: Iterable[Key]) -> Iterable[list[Key]]:
        """The contents that it does not have, in groups that lie in one region each if they are added at once."""
        return _grouped(dict.fromkeys(key for key in wanted if key not in self._copies))

    def add(self, wanted: Iterable[Key], *, pinned: bool) -> list[Key]:
        """Make room for contents; returns those that are new and have no bytes yet. Raises OSError, MemoryError."""
        new = list(dict.fromkeys(key for key in wanted if key not in self._copies))
        regions = [Region(keys) for keys in _grouped(new)]
        for region in regions:
            if pinned:
                region.pin(self._driver)
            self._copies.update(dict.fromkeys(region.places, region))
        self._regions += regions
        return new

    def keep_only(self, keys: Collection[Key]) -> None:
        """Drop all other contents; memory is freed once none of the contents that came with it is kept."""
        self._copies = {key: region for key, region in self._copies.items() if key in keys}
        for region in self._regions:
            region.kept.intersection_update(keys)
            if not region.kept:
                region.unpin(self._driver)
        self._regions = [region for region in self._regions if region.kept]

    def show(self, name: bytes) -> int:
        """A descriptor of a sealed copy of a region; the caller must close it. Raises KeyError, OSError."""
        return sealed_copy(self._named(name).bytes)

    def share(self, name: bytes, fd: int) -> None:
        """Use sealed memory with the bytes of a region instead. Raises KeyError, OSError, PinningRefused."""
        self._named(name).share(fd, self._driver)

    def _named(self, name: bytes) -> Region:
        return {region.name: region for region in self._regions}[name]


def _grouped(keys: Iterable[Key]) -> Iterable[list[Key]]:
    groups: defaultdict[int | None, list[Key]] = defaultdict(list)
    for key in keys:
        groups[key[0][0] if _is_large(key) else None].append(key)
    return groups.values()


def _is_large(key: Key) -> bool:
    return key[1] >= SMALL
