"""Encoded values in transit: small ones inline, large ones as a reference to a blob."""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.wire import message

#: Above this many bytes a payload travels by reference. Source: the crossover measured in benchmarks/payload.py.
INLINE_BYTES = 64 * 1024


@message
@dataclass(frozen=True, slots=True)
class Blob:
    """Where the bytes of a large payload are."""

    place: str  #: "file": a name in the host's shared memory; "broker": an id of a broker key
    name: str
    host: str  #: the host that holds the file; empty in the broker
    size_bytes: int


@message
@dataclass(frozen=True, slots=True)
class Payload:
    """An encoded value: a msgpack body and the raw buffers that it refers to by number, or the blob with both."""

    body: bytes = b""
    buffers: tuple[bytes, ...] = ()
    blob: Blob | None = None
    files: tuple[FileCopy, ...] = ()  #: that the value names, for a reader on another host


@message
@dataclass(frozen=True, slots=True)
class FileCopy:
    """A file that travels with a payload: it is to appear at the same path."""

    path: str
    size_bytes: int
    modified_ns: int
    content: Payload
