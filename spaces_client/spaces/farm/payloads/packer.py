"""Packs the values of one Space as payloads, with the files that they name, and unpacks them.

A caller packs arguments and a child unpacks them; results go the other way. In between, the worker moves blobs to where
their reader can reach them (`spaces_workers.worker.carrier`), and unpacks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Signature
from typing import Any

from spaces.farm.payloads import store as stores
from spaces.farm.payloads.payload import INLINE_BYTES, FileCopy, Payload, Stamp
from spaces.farm.payloads.space_files import SpaceFiles
from spaces.farm.payloads.store import BlobStore
from spaces.farm.values.codec import Codec, Encoded


class Packer:
    """Turns values into payloads and back; what is large is kept in `store`.

    `files` are those of the Space, which travel with values while `far` says that the other side has another disk,
    and only once where all values have `one_reader`.
    """

    def __init__(
        self,
        codec: Codec,
        store: BlobStore,
        *,
        files: SpaceFiles | None = None,
        far: Callable[[], bool] = lambda: False,
        one_reader: bool = False,
    ) -> None:
        self.codec = codec
        self._store = store
        self._files = files
        self._far = far
        self._sent: dict[str, Stamp] | None = {} if one_reader else None

    def pack_call(
        self,
        label: str,
        signature: Signature | None,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *more: object,
    ) -> Payload:
        """`(args, kwargs, *more)` of a call. Raises EncodingError, which names the argument that cannot be sent.

        `more` is what a Space's own web process sends along: see `state.outgoing` and `functions.carried`.
        """
        return self._packed(self.codec.encode_call(label, signature, args, kwargs, *more), (args, kwargs))

    def pack_result(self, label: str, value: object, verb: str) -> Payload:
        """A value that a function `returned` or `yielded`. Raises EncodingError."""
        return self._packed(self.codec.encode_result(label, value, verb), value)

    def unpack(self, payload: Payload) -> Any:  # Any: what was encoded
        """The value; its blob stays, its files appear. Raises BlobGone, EncodingError."""
        if self._files is not None:
            for copy in payload.files:
                self._place(copy, self._files)
        encoded = to_encoded(payload, self._store)
        return self.codec.decode(encoded.body, encoded.buffers)

    def take(self, payload: Payload) -> Any:  # Any: what was encoded
        """The value; its blob is deleted, for it has one reader only."""
        try:
            return self.unpack(payload)
        finally:
            self.discard(payload)

    def discard(self, payload: Payload) -> None:
        """Delete what is kept of a payload that nobody reads any more."""
        stores.discard(payload, self._store)

    def _packed(self, encoded: Encoded, value: object) -> Payload:
        payload = to_payload(encoded, self._store)
        if self._files is None or not self._far():
            return payload
        try:
            for path, stamp in self._files.to_send(value, self._sent).items():
                content = to_payload(Encoded(b"", (path.read_bytes(),)), self._store)
                payload = replace(payload, files=(*payload.files, FileCopy(str(path), *stamp, content)))
        except BaseException:
            self.discard(payload)
            raise
        if self._sent is not None:
            self._sent.update({copy.path: copy.stamp for copy in payload.files})
        return payload

    def _place(self, copy: FileCopy, files: SpaceFiles) -> None:
        path = files.expected_at(copy)
        if path is not None:
            files.write(path, copy, to_encoded(copy.content, self._store).buffers)


def to_payload(encoded: Encoded, store: BlobStore) -> Payload:
    """A payload to put in a message: whole if it is small, else a reference to what `store` now keeps."""
    if encoded.size_bytes <= INLINE_BYTES:
        return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
    return Payload(blob=store.write(encoded))


def to_encoded(payload: Payload, store: BlobStore) -> Encoded:
    """The encoded value of a payload; its blob, if it has one, stays. Raises BlobGone, or ValueError out of reach."""
    if payload.blob is None:
        return Encoded(payload.body, payload.buffers)
    return store.read(payload.blob)
