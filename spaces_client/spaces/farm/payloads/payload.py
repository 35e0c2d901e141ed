"""Encoded values on their way between processes: small ones inline, large ones as a reference to a blob."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spaces.farm.wire import message

#: Larger payloads, in bytes, are sent by reference. Source: the crossover measured in benchmarks/payload.py.
INLINE_BYTES = 64 * 1024

#: Size in bytes and time of change in nanoseconds: a file counts as unchanged while both are equal.
Stamp = tuple[int, int]

_BLOB_NAME = re.compile(r"[0-9a-f]{32}")


@message
@dataclass(frozen=True, slots=True)
class Blob:
    """The place of a large payload's bytes."""

    place: str  #: "memory": a file in the host's shared memory; "broker": a string there
    name: str
    host: str  #: the host of the shared memory; empty for the broker
    size_bytes: int


@message
@dataclass(frozen=True, slots=True)
class Payload:
    """An encoded value: a msgpack body and the raw buffers that it refers to by number, or a blob that has both."""

    body: bytes = b""
    buffers: tuple[bytes, ...] = ()
    blob: Blob | None = None
    files: tuple[FileCopy, ...] = ()  #: that the value names, for a reader on another host


@message
@dataclass(frozen=True, slots=True)
class FileCopy:
    """A file that is sent with a payload, and written to the same path."""

    path: str
    size_bytes: int
    modified_ns: int
    content: Payload

    @property
    def stamp(self) -> Stamp:
        """The stamp by which a host checks whether it has the file."""
        return self.size_bytes, self.modified_ns


def blobs_of(payload: Payload) -> Iterator[Blob]:
    """Every blob of a payload: its own, and those of its files."""
    if payload.blob is not None:
        yield payload.blob
    for copy in payload.files:
        yield from blobs_of(copy.content)


def is_blob_name(name: str) -> bool:
    """Whether a name from the network is a valid blob name, and not a path."""
    return _BLOB_NAME.fullmatch(name) is not None
