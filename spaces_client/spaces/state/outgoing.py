"""The web process's side of changing globals: changes by its handlers are sent with every call.

Every global that a GPU function may read, and that a handler changed since the launch, is sent whole with each call,
because it is unknown which child runs the call and which changes it has seen. A global that cannot be sent causes one
warning.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from spaces.errors import EncodingError
from spaces.farm.payloads.payload import Payload
from spaces.farm.values.codec import Codec
from spaces.farm.values.explain import find_culprit
from spaces.farm.values.pickling import Unsendable
from spaces.farm.wire import pack
from spaces.state.changes import Change, Changes
from spaces.state.marks import Mark, same
from spaces.state.space_globals import MISSING, Namespace, SpaceGlobals
from spaces.state.stale import warn_of_unsent

#: The most bytes that all changed globals may have together, because they are sent with every call.
MOST_BYTES = 2**20


class Outgoing:
    """Watches the globals of a Space from now on."""

    def __init__(self, space: SpaceGlobals, codec: Codec) -> None:
        self._space = space
        self._codec = codec
        self._web = uuid.uuid4().hex
        self._lock = threading.Lock()
        self._watched = [
            (each, {name: _Record(space.marks.of(value), id(value)) for name, value in each.items()})
            for each in space.sent
        ]
        self._new = space.marks.of(MISSING)

    def packed(self) -> bytes:
        """The changes to send with a call now. Takes a fraction of a millisecond while nothing changes."""
        with self._lock:
            return pack(Changes(self._web, tuple(self._changes())))

    def _changes(self) -> Iterator[Change]:
        left = MOST_BYTES
        for namespace, records in self._watched:
            for name, value in namespace.items():
                record = records.get(name) or records.setdefault(name, _Record(self._new, 0))
                mark = self._space.marks.of(value)
                if not same(mark, record.mark):
                    self._note(record, namespace, name, value, mark)
                if not record.version or record.unsent:
                    continue
                if (size := _size(record.payload)) <= left:
                    left -= size
                    yield Change(
                        namespace.module, namespace.path, name, record.version, record.inside(value), record.payload
                    )
                else:
                    self._warn(namespace, name, _TOO_LARGE)

    def _note(self, record: _Record, namespace: Namespace, name: str, value: object, mark: Mark) -> None:
        """Record a change; a value that changes while it is encoded is checked again at the next call."""
        try:
            payload = None if value is MISSING else self._encoded(value)
        except EncodingError as error:
            if not record.unsent:
                self._warn(namespace, name, find_culprit(value, error, self._refusal).clause)
            record.unsent = True
        except RuntimeError as error:
            self._warn(namespace, name, f"it changed while it was read ({error})")
            return
        else:
            record.payload, record.unsent = payload, False
        record.mark = mark
        record.version += 1

    def _encoded(self, value: object) -> Payload:
        encoded = self._codec.encode(value)
        if encoded.size_bytes > MOST_BYTES:
            raise Unsendable(f"{encoded.size_bytes / 2**20:.1f} MB", _TOO_LARGE, culprit=value)
        return Payload(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))

    def _refusal(self, value: object) -> EncodingError | None:
        try:
            self._codec.encode(value)
        except EncodingError as error:
            return error
        return None

    def _warn(self, namespace: Namespace, name: str, reason: str) -> None:
        slot = namespace.slot(name)
        warn_of_unsent(str(slot), self._space.gpu_reader(slot), reason)


@dataclass(slots=True)
class _Record:
    """One global: its mark at the last check, and its encoded change."""

    mark: Mark
    first_id: int  #: of the object at the launch
    version: int = 0
    payload: Payload | None = None
    unsent: bool = False

    def inside(self, value: object) -> bool:
        return id(value) == self.first_id


_TOO_LARGE = f"changed globals are sent with every call, and may have {MOST_BYTES // 2**20} MB in all"


def _size(payload: Payload | None) -> int:
    return 0 if payload is None else len(payload.body) + sum(map(len, payload.buffers))
