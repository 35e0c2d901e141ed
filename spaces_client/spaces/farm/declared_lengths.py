"""Checks the lengths that msgpack's bytes declare, before any of them takes memory.

msgpack makes room for all members of a list as soon as it reads their number. In a list that is within a list that is
within a list, a few bytes can so declare gigabytes. Each member has at least one byte, so what is complete is harmless.
"""

from __future__ import annotations

import msgpack

#: Shorter messages can take no memory that matters.
SHORT_BYTES = 1024


def check(data: bytes | memoryview) -> None:
    """Raise ValueError unless `data` is exactly one complete value. Builds nothing."""
    if len(data) <= SHORT_BYTES:
        return
    unpacker = msgpack.Unpacker(max_buffer_size=len(data))
    unpacker.feed(data)
    try:
        unpacker.skip()
    except msgpack.OutOfData:
        raise ValueError("it declares more than it has") from None
    if unpacker.tell() != len(data):
        raise ValueError("bytes follow its end")
