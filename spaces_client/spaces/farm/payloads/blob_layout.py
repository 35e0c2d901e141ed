"""Joins several byte strings into one, each aligned for vector instructions.

The layout: a mark, the number of parts, their lengths; then the parts, each at a multiple of 64 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate

from spaces.farm.values.codec import Encoded

ALIGNMENT = 64

_MARK = b"ZFPARTS1"
_COUNT = struct.Struct("<8sQ")


def join(pieces: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The byte strings to write, one after the other. Large pieces are not copied."""
    header = _COUNT.pack(_MARK, len(pieces)) + struct.pack(f"<{len(pieces)}Q", *map(len, pieces))
    for piece in (header, *pieces):
        yield piece
        yield bytes(-len(piece) % ALIGNMENT)


def split(data: memoryview) -> list[memoryview]:
    """Views of the joined parts, at least one. Raises ValueError for bytes that `join` did not make."""
    if len(data) < _COUNT.size or data[:8] != _MARK:
        raise ValueError("these bytes are no payload of zerofarm")
    _, count = _COUNT.unpack_from(data)
    header = _COUNT.size + 8 * count
    if not count or header > len(data):
        raise ValueError(f"a payload of {len(data)} bytes cannot have {count} parts")
    lengths = struct.unpack_from(f"<{count}Q", data, _COUNT.size)
    *starts, end = accumulate(map(_aligned, lengths), initial=_aligned(header))
    if end > len(data):
        raise ValueError(f"a payload was cut off: {end} bytes were written, {len(data)} are there")
    return [data[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def encoded(data: memoryview) -> Encoded:
    """The encoded value whose body and buffers were joined. Raises ValueError as `split` does."""
    body, *buffers = split(data)
    return Encoded(body, tuple(buffers))


def _aligned(length: int) -> int:
    return length + -length % ALIGNMENT
