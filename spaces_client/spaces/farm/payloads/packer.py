"""Packs the values of one Space into payloads, with the files that they name, and unpacks them.

A caller packs arguments and a child unpacks them; results go the other way. In between, the worker moves blobs to a
store that their reader can reach (`spaces_workers.worker.carrier`), and unpacks nothing.
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
    """Turns values into payloads and back; large values are kept in `store`.

    `files` are those of the Space. They are sent with values while `far()` is true: the other side is on another host.
    If all values have `one_reader`, each file is sent only once.
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
        """Pack `(args, kwargs, *more)` of a call. Raises EncodingError, which names the argument that cannot be sent.

        `more` comes from a Space's own web process: see `state.outgoing` and `functions.carried`.
        """
        return self._packed(self.codec.encode_call(label, signature, args, kwargs, *more), (args, kwargs))

    def pack_result(self, label: str, value: object, verb: str) -> Payload:
        """Pack a value that a function `returned` or `yielded` (`verb`). Raises EncodingError."""
        return self._packed(self.codec.encode_result(label, value, verb), value)

    def unpack(self, payload: Payload) -> Any:  # Any: what was encoded
        """Unpack the value and write its files; its blob stays. Raises BlobGone, EncodingError."""
        if self._files is not None:
            for copy in payload.files:
                self._place(copy, self._files)
        encoded = to_encoded(payload, self._store)
        return self.codec.decode(encoded.body, encoded.buffers)

    def take(self, payload: Payload) -> Any:  # Any: what was encoded
        """Unpack the value and delete its blob, because it has only one reader."""
        try:
            return self.unpack(payload)
        finally:
            self.discard(payload)

    def discard(self, payload: Payload) -> None:
        """Delete the blobs of a payload that will not be read any more."""
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
    """A payload for a message: a small value whole, a large one as a reference to a blob in `store`."""
    if encoded.size_bytes <= INLINE_BYTES:
        return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))
    return Payload(blob=store.write(encoded))


def to_encoded(payload: Payload, store: BlobStore) -> Encoded:
    """The encoded value of a payload; its blob, if any, stays. Raises BlobGone, or ValueError if it is out of reach."""
    if payload.blob is None:
        return Encoded(payload.body, payload.buffers)
    return store.read(payload.blob)
