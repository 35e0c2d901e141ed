"""Chooses where a large payload waits: in shared memory while every worker is on this host, else in the broker."""

from __future__ import annotations

import time
from collections.abc import Callable

from spaces.farm.payload import Blob
from spaces.farm.payloads.stores import BrokerStore, SharedMemoryStore
from spaces.farm.values.codec import Encoded

#: Seconds for which the answer to "where are the workers" is taken to hold.
KNOWN_FOR = 2.0


class NearestStore:
    """A store to write to; what it wrote is read from the store that it chose.

    `hosts` tells where the live workers are. With none alive the broker is the safe choice: any of them can read it.
    """

    def __init__(
        self, host: str, files: SharedMemoryStore, strings: BrokerStore, hosts: Callable[[], set[str]]
    ) -> None:
        self._host = host
        self._files = files
        self._strings = strings
        self._hosts = hosts
        self._asked_at = -KNOWN_FOR
        self._near = False

    def write(self, encoded: Encoded) -> Blob:
        """Keep an encoded value where every worker can read it."""
        return (self._files if self.near else self._strings).write(encoded)

    @property
    def near(self) -> bool:
        """Whether every live worker is on this host."""
        if time.monotonic() - self._asked_at > KNOWN_FOR:
            self._near, self._asked_at = self._hosts() == {self._host}, time.monotonic()
        return self._near

    def read(self, blob: Blob) -> Encoded:
        raise ValueError(f"{blob.name} is read from where it was put")

    def delete(self, blob: Blob) -> None:
        raise ValueError(f"{blob.name} is deleted where it was put")

    def holds(self, blob: Blob) -> bool:
        """Never: reading is the others' part."""
        del blob
        return False
