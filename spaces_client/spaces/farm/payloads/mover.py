"""Values of one Space as payloads and back: the codec, and the stores that hold what is large."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from inspect import Signature
from typing import Any

from spaces.farm.payload import Payload
from spaces.farm.payloads import stores
from spaces.farm.payloads.files import Files, Stamp
from spaces.farm.payloads.stores import Store
from spaces.farm.values.codec import Codec, Encoded


class Payloads:
    """Writes to the first of its stores, reads from whichever holds a payload.

    `files` are those of the Space, which travel with values while `far` says that the other side has another disk,
    and only once where all values have `one_reader`.
    """

    def __init__(
        self,
        codec: Codec,
        *places: Store,
        files: Files | None = None,
        far: Callable[[], bool] = lambda: False,
        one_reader: bool = False,
    ) -> None:
        self.codec = codec
        self._stores = places
        self._files = files
        self._far = far
        self._sent: dict[str, Stamp] | None = {} if one_reader else None

    def of_call(
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

    def of_result(self, label: str, value: object, verb: str) -> Payload:
        """A value that a function `returned` or `yielded`. Raises EncodingError."""
        return self._packed(self.codec.encode_result(label, value, verb), value)

    def value(self, payload: Payload) -> Any:  # Any: what was encoded
        """The value; its blob stays, its files appear. Raises BlobGone, EncodingError."""
        if payload.files and self._files is not None:
            self._files.place(payload.files, self._stores)
        encoded = stores.unpack(payload, self._stores)
        return self.codec.decode(encoded.body, encoded.buffers)

    def taken(self, payload: Payload) -> Any:  # Any: what was encoded
        """The value; its blob is deleted, for it has one reader only."""
        try:
            return self.value(payload)
        finally:
            self.discard(payload)

    def discard(self, payload: Payload) -> None:
        """Forget a payload that nobody reads any more."""
        for each in (payload, *(copy.content for copy in payload.files)):
            stores.discard(each, self._stores)

    def _packed(self, encoded: Encoded, value: object) -> Payload:
        payload = stores.pack(encoded, self._stores[0])
        if self._files is None or not self._far():
            return payload
        try:
            return replace(payload, files=self._files.copies(value, self._stores[0], self._sent))
        except Exception:
            self.discard(payload)
            raise
