"""Encoded values in transit: small ones inline, large ones as a reference to a blob."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spaces.farm.wire import message

#: Above this many bytes a payload travels by reference. Source: the crossover measured in benchmarks/payload.py.
INLINE_BYTES = 64 * 1024

#: Size in bytes and time of change in nanoseconds: a file is taken for the same while both are.
Stamp = tuple[int, int]

_BLOB_NAME = re.compile(r"[0-9a-f]{32}")


@message
@dataclass(frozen=True, slots=True)
class Blob:
    """Where the bytes of a large payload are."""

    place: str  #: "memory": a file in the host's shared memory; "broker": a string there
    name: str
    host: str  #: whose shared memory it is; empty in the broker
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

    @property
    def stamp(self) -> Stamp:
        """By which a host sees whether it has the file."""
        return self.size_bytes, self.modified_ns


def blobs_of(payload: Payload) -> Iterator[Blob]:
    """Every blob that belongs to a payload: its own, and those of its files."""
    if payload.blob is not None:
        yield payload.blob
    for copy in payload.files:
        yield from blobs_of(copy.content)


def is_blob_name(name: str) -> bool:
    """Whether a name that came from the network is that of a blob, and leads nowhere else."""
    return _BLOB_NAME.fullmatch(name) is not None
