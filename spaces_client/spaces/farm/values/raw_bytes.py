"""Bytes that are sent beside the message instead of in it, so that they are not copied."""

from __future__ import annotations

from dataclasses import dataclass

#: Up to this many bytes stay in the message.
SHORT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Raw:
    """Contiguous bytes, a view of the value that is being encoded. They arrive as bytes or a memoryview."""

    view: memoryview


def writable(data: bytes | memoryview) -> memoryview:
    """Return the bytes themselves if they are writable, else a copy."""
    view = memoryview(data)
    return memoryview(bytearray(view)) if view.readonly else view
