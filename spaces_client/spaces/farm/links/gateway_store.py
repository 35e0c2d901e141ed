"""Large payloads for workers of other hosts, sent to the broker through the gateway in pieces."""

from __future__ import annotations

import uuid

from spaces.errors import BlobGone
from spaces.farm.links.line import Line
from spaces.farm.links.messages import Done, DropBlob, ReadBlob, ThePiece, WriteBlob
from spaces.farm.payloads import blob_layout
from spaces.farm.payloads.broker_store import check_size
from spaces.farm.payloads.payload import Blob, is_blob_name
from spaces.farm.values.codec import Encoded

#: Bytes of one piece.
PIECE_BYTES = 2**20


class GatewayStore:
    """Blobs in the broker, through a gateway."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def write(self, encoded: Encoded) -> Blob:
        """Send the bytes."""
        check_size(encoded.size_bytes)
        data = b"".join(blob_layout.join((encoded.body, *encoded.buffers)))
        return Blob("broker", self.write_bytes(data), "", len(data))

    def write_bytes(self, data: bytes) -> str:
        """Send bytes as they are; returns the name of their blob."""
        check_size(len(data))
        name = uuid.uuid4().hex
        for offset in range(0, len(data), PIECE_BYTES):
            self._line.call(WriteBlob(name, offset, data[offset : offset + PIECE_BYTES]), Done)
        return name

    def read(self, blob: Blob) -> Encoded:
        """Fetch the bytes."""
        self._check(blob)
        check_size(blob.size_bytes)
        data = bytearray()
        while len(data) < blob.size_bytes:
            piece = self._line.call(ReadBlob(blob.name, len(data)), ThePiece)
            if piece.size_bytes != blob.size_bytes or not piece.data:
                raise BlobGone(f"the payload {blob.name} is no longer in the broker")
            data += piece.data
        return blob_layout.encoded(memoryview(data))

    def delete(self, blob: Blob) -> None:
        """Remove the bytes."""
        self._check(blob)
        self._line.call(DropBlob(blob.name), Done)

    def holds(self, blob: Blob) -> bool:
        """Whether the blob is kept in the broker."""
        return blob.place == "broker"

    def _check(self, blob: Blob) -> None:
        if not is_blob_name(blob.name) or not self.holds(blob):
            raise ValueError(f"{blob.place} {blob.name!r} is no payload in the broker")
