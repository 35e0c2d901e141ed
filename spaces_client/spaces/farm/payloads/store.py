"""Where the bytes of large payloads wait, for whoever writes and reads them.

A blob is written once by its sender and read by its receiver, who deletes it. One that nobody reads or deletes is swept
from shared memory (`SharedMemoryStore.sweep`), and expires in the broker.
"""

from __future__ import annotations

from typing import Protocol

from spaces.errors import SpacesError
from spaces.farm.payloads.payload import Blob, Payload, blobs_of
from spaces.farm.values.codec import Encoded


class BlobGone(SpacesError, LookupError):
    """A payload's bytes are not where they were: they were read already, or their lifetime is over."""


class BlobStore(Protocol):
    """A place for the bytes of large payloads."""

    def write(self, encoded: Encoded) -> Blob:
        """Keep an encoded value. Raises RefusedError if there is no room for it."""

    def read(self, blob: Blob) -> Encoded:
        """The encoded value. Raises BlobGone if it is not there, ValueError if it is damaged or out of reach."""

    def delete(self, blob: Blob) -> None:
        """Forget the blob, if it is still there."""

    def holds(self, blob: Blob) -> bool:
        """Whether this is where such a blob would be."""


def discard(payload: Payload, *stores: BlobStore) -> None:
    """Delete the blobs of a payload that nobody reads any more; those out of reach are another host's."""
    for blob in blobs_of(payload):
        for store in stores:
            if store.holds(blob):
                store.delete(blob)
