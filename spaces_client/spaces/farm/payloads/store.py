"""The interface of the stores of large payloads.

The sender writes a blob once; the receiver reads and deletes it. A blob that is never deleted is swept
from shared memory (`SharedMemoryStore.sweep`), and expires in the broker.
"""

from __future__ import annotations

from typing import Protocol

from spaces.farm.payloads.payload import Blob, Payload, blobs_of
from spaces.farm.values.codec import Encoded


class BlobStore(Protocol):
    """A store for the bytes of large payloads."""

    def write(self, encoded: Encoded) -> Blob:
        """Store an encoded value. Raises RefusedError if there is not enough space."""

    def read(self, blob: Blob) -> Encoded:
        """Read the encoded value. Raises BlobGone if it is gone, ValueError if it is damaged or out of reach."""

    def delete(self, blob: Blob) -> None:
        """Delete the blob, if it still exists."""

    def holds(self, blob: Blob) -> bool:
        """Whether such a blob belongs to this store."""


def discard(payload: Payload, *stores: BlobStore) -> None:
    """Delete the blobs of a payload that will not be read any more, except those that only another host can reach."""
    for blob in blobs_of(payload):
        for store in stores:
            if store.holds(blob):
                store.delete(blob)
