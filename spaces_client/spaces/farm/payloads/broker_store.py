"""Keeps large payloads as strings in the broker, which every host of a farm can reach."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from spaces.errors import BlobGone, RefusedError
from spaces.farm.payloads import blob_layout
from spaces.farm.payloads.payload import Blob, is_blob_name
from spaces.farm.values.codec import Encoded

if TYPE_CHECKING:
    from redis import Redis

#: The most bytes that a broker accepts as one string, unless its `proto-max-bulk-len` is changed.
BROKER_BYTES = 512 * 2**20


class BrokerStore:
    """Blobs as strings in the broker, each for `lifetime` seconds after its last use. `key` names a blob's string."""

    def __init__(self, redis: Redis, lifetime: float, key: Callable[[str], str]) -> None:
        self._redis = redis
        self._lifetime_ms = max(1, round(lifetime * 1000))
        self._key = key

    def write(self, encoded: Encoded) -> Blob:
        """Send the bytes to the broker."""
        check_size(encoded.size_bytes)
        data = b"".join(blob_layout.join((encoded.body, *encoded.buffers)))
        check_size(len(data))
        name = uuid.uuid4().hex
        self._redis.set(self._key(name), data, px=self._lifetime_ms)
        return Blob("broker", name, "", len(data))

    def read(self, blob: Blob) -> Encoded:
        """Fetch the bytes from the broker."""
        data = cast("bytes | None", self._redis.getex(self._named(blob), px=self._lifetime_ms))
        if data is None:
            raise BlobGone(f"the payload {blob.name} is no longer in the broker, where it lives {self._lifetime_ms} ms")
        return blob_layout.encoded(memoryview(data))

    def delete(self, blob: Blob) -> None:
        """Remove the string."""
        self._redis.unlink(self._named(blob))

    def holds(self, blob: Blob) -> bool:
        """Whether the blob is kept in the broker."""
        return blob.place == "broker"

    def _named(self, blob: Blob) -> str:
        if not is_blob_name(blob.name) or not self.holds(blob):
            raise ValueError(f"{blob.place} {blob.name!r} is no payload in the broker")
        return self._key(blob.name)


def check_size(size_bytes: int) -> None:
    """Raise RefusedError for a payload that is too large for the broker."""
    if size_bytes > BROKER_BYTES:
        size, most = size_bytes // 2**20, BROKER_BYTES // 2**20
        raise RefusedError(f"a payload of {size} MB is too large for the broker, which takes {most} MB")
