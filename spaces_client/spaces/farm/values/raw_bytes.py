"""Bytes that travel beside the message instead of in it, so that nobody copies them on the way."""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes up to this number stay in the message.
SHORT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Raw:
    """One contiguous run of bytes, a view of the value that is being written. It arrives as bytes or a memoryview."""

    view: memoryview


def writable(data: bytes | memoryview) -> memoryview:
    """Return the bytes in memory of our own: as they are where they may be changed, else a copy."""
    view = memoryview(data)
    return memoryview(bytearray(view)) if view.readonly else view
