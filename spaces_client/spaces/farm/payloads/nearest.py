"""Chooses the store of a large payload: shared memory while every worker is on this host, else the broker."""

from __future__ import annotations

from collections.abc import Callable

from spaces.farm.payloads.payload import Blob
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.payloads.store import BlobStore
from spaces.farm.recent import Recent
from spaces.farm.values.codec import Encoded

#: Seconds for which the list of the workers' hosts is reused.
KNOWN_FOR = 2.0


class NearestStore:
    """The store of a caller: writes to a store that every worker can read, and reads from the store that has the blob.

    `hosts` returns the hosts of the live workers. If none is alive the broker is used, because any later worker can
    read it.
    """

    def __init__(self, host: str, memory: SharedMemoryStore, broker: BlobStore, hosts: Callable[[], set[str]]) -> None:
        self._host = host
        self._memory = memory
        self._broker = broker
        self._hosts = Recent(hosts, KNOWN_FOR)

    @property
    def near(self) -> bool:
        """Whether every live worker is on this host."""
        return self._hosts() == {self._host}

    def write(self, encoded: Encoded) -> Blob:
        """Write an encoded value to a store that every worker can read."""
        store: BlobStore = self._memory if self.near else self._broker
        return store.write(encoded)

    def read(self, blob: Blob) -> Encoded:
        """Read an encoded value from its store."""
        return self._holder(blob).read(blob)

    def delete(self, blob: Blob) -> None:
        """Delete the blob from its store."""
        self._holder(blob).delete(blob)

    def holds(self, blob: Blob) -> bool:
        """Whether this process can reach the blob."""
        return self._memory.holds(blob) or self._broker.holds(blob)

    def _holder(self, blob: Blob) -> BlobStore:
        if self._memory.holds(blob):
            return self._memory
        if self._broker.holds(blob):
            return self._broker
        where = f"the {blob.place} of {blob.host or 'the farm'}"
        raise ValueError(f"a payload is in {where}, which this process cannot reach")
