"""Bytes that declare more than they hold are refused before they take memory, by the codec as by the wire."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest

from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec
from spaces.farm.values.codec_types import Kind


def typed(kind: Kind, *fields: Any) -> list[Any]:  # any: whatever a peer sends
    return [msgpack.ExtType(kind.value, b""), *fields]


def body(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


DEEP = b"".join(b"\xdd" + struct.pack(">I", 99_000) for _ in range(400)) + b"\xc0" * 97_000
BUFFER = typed(Kind.BUFFER, 0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DEEP, "declares more than it has"),
        (body([typed(Kind.BYTEARRAY, BUFFER)] * 1000), "uses its buffer 0 twice"),
        (body(typed(Kind.IMAGE, "RGB", [0, 2**31 - 1], [], [None, "", {}, {}], b"")), "an image without pixels"),
        (body(typed(Kind.IMAGE, "1", [-7, 2**30], [], [None, "", {}, {}], b"")), "an image without pixels"),
        (body(typed(Kind.ARRAY, [2**40], "<f8", [], b"")), "cannot be read"),
        (body(typed(Kind.ARRAY, [2**20], [["a", "<f4", [2**30]]], [], b"")), "cannot be read"),
        (body(typed(Kind.TENSOR, [2**40], [1], "float32", False, b"\0" * 4, None)), "cannot be read"),
        (body(typed(Kind.MEMORYVIEW, "B", [2**40, 1], True, b"x")), "cannot be read"),
    ],
    ids=["nested", "one buffer often", "rows", "negative", "array", "dtype", "tensor", "memoryview"],
)
def test_a_declared_size_takes_no_memory(data: bytes, words: str) -> None:
    np.zeros(1)  # import the libraries before memory is counted
    pytest.importorskip("torch")
    pytest.importorskip("PIL.Image")
    buffer = b"x" * 1_000_000
    tracemalloc.start()
    with pytest.raises(EncodingError, match=words):
        Codec().decode(data, [buffer])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_what_the_codec_itself_writes_uses_each_buffer_once() -> None:
    array = np.arange(10_000)
    first, second = Codec().decode(*_parts([array, array]))
    assert first is not second
    assert (first == second).all()


def _parts(value: object) -> tuple[bytes | memoryview, tuple[bytes | memoryview, ...]]:
    encoded = Codec().encode(value)
    return encoded.body, encoded.buffers
