"""Plain data comes back as it was: equal, and of the same types all the way down."""

from __future__ import annotations

import math
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec, Encoded
from spaces.farm.values.codec_types import Kind
from spaces.farm.values.signing import derive_space_key

KEY = derive_space_key(b"the key of a farm", "digits")

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**200), max_value=2**200),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters()),
    st.binary(max_size=6000),
    st.binary().map(bytearray),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.text("abc/.", min_size=1).map(Path),
    st.text("abc/.", min_size=1).map(PurePosixPath),
    st.builds(range, st.integers(), st.integers(), st.integers(min_value=1)),
    st.builds(slice, st.integers(), st.none(), st.integers()),
)
KEYS = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.floats(allow_nan=False)),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
    ),
    max_leaves=12,
)


def round_trip(value: object, codec: Codec | None = None) -> Any:  # any: whatever was sent
    codec = codec or Codec()
    encoded = codec.encode(value)
    return codec.decode(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))


def shape(value: object) -> object:
    """The types of a value and of what it holds; of a set in any order."""
    match value:
        case dict():
            return dict, [(shape(key), shape(item)) for key, item in value.items()]
        case list() | tuple():
            return type(value), [shape(item) for item in value]
        case set() | frozenset():
            return type(value), sorted(str(shape(item)) for item in value)
    return type(value)


@given(VALUES)
def test_plain_data_comes_back_equal_and_of_the_same_types(value: object) -> None:
    result = round_trip(value)
    assert result == value
    assert shape(result) == shape(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        Codec(KEY).decode(body)
    except EncodingError:
        return


@given(st.sampled_from(list(Kind)), st.lists(VALUES, max_size=5))
def test_any_fields_of_any_kind_are_read_or_refused(kind: Kind, fields: list[object]) -> None:
    encoded = Codec().encode(fields)
    body = bytes(encoded.body)
    head = msgpack.packb(msgpack.ExtType(kind.value, b""))
    forged = msgpack.Packer().pack_array_header(len(fields) + 1) + head + body[1:]  # a short list has a header of 1
    try:
        Codec(KEY).decode(forged, encoded.buffers)
    except EncodingError:
        return


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        2**64,
        -(2**63) - 1,
        10**4000,
        "\ud800",
        "caf\u00e9\udcff",
        Decimal("sNaN"),
        Decimal("-0.00"),
        uuid.UUID(int=5),
        date.min,
        datetime.max,
        datetime(2026, 1, 1, tzinfo=UTC),
        time(1, 2, 3, 4),
        timedelta.min,
        slice((1, 2), None, 2**90),
        {(1, (2, frozenset({3}))): {None: [()]}},
        {1: "int", "1": "str", b"1": "bytes"},
        [[], (), {}, set(), frozenset(), b"", "", bytearray()],
    ],
    ids=lambda value: repr(value)[:40],
)
def test_values_at_the_edges_come_back(value: object) -> None:
    result = round_trip(value)
    assert repr(result) == repr(value)
    assert shape(result) == shape(value)


def test_floats_keep_sign_and_nan() -> None:
    nan, zero, infinity = round_trip((math.nan, -0.0, -math.inf))
    assert math.isnan(nan)
    assert math.copysign(1, zero) == -1
    assert infinity == -math.inf


def test_the_order_of_a_dict_is_kept() -> None:
    value = dict.fromkeys(("z", "a", (2, 1), 0))
    assert list(round_trip(value)) == list(value)


def test_large_bytes_travel_beside_the_message() -> None:
    encoded = Codec().encode({"video": b"v" * 100_000})
    assert len(encoded.body) < 100
    assert encoded.size_bytes == len(encoded.body) + 100_000


def test_each_place_of_a_shared_list_gets_a_copy() -> None:
    shared = [1]
    first, second = round_trip([shared, shared])
    assert first == second == shared
    assert first is not second


def test_a_list_that_contains_itself_is_kept_by_pickle() -> None:
    knot: list[object] = [1]
    knot.append({"again": knot})
    result = round_trip(knot, Codec(KEY))
    assert isinstance(result, list)
    assert result[1]["again"] is result


def test_a_list_that_contains_itself_is_refused_without_a_key() -> None:
    knot: list[object] = []
    knot.append(knot)
    with pytest.raises(EncodingError, match="a list cannot be sent to another process: it needs the Space's key"):
        Codec().encode(knot)


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_deep_nesting_goes_by_pickle() -> None:
    assert round_trip(nested(150), Codec(KEY)) == nested(150)


def test_nesting_too_deep_for_anything_is_refused() -> None:
    with pytest.raises(EncodingError, match="nested too deeply"):
        Codec(KEY).encode(nested(100_000))


def test_deeply_nested_bytes_are_refused() -> None:
    with pytest.raises(EncodingError, match="cannot be read"):
        Codec().decode(b"\x91" * 100_000 + b"\xc0")


def test_a_buffer_that_is_missing_is_refused() -> None:
    encoded = Codec().encode(b"v" * 100_000)
    with pytest.raises(EncodingError, match="cannot be read"):
        Codec().decode(encoded.body, ())


def test_a_value_can_be_read_from_a_view() -> None:
    encoded = Codec().encode(["text", b"bytes"])
    assert Codec().decode(memoryview(encoded.body)) == ["text", b"bytes"]
    assert Encoded(b"12", (b"345",)).size_bytes == 5


def test_plain_data_needs_no_library() -> None:
    script = (
        "import collections, sys; from spaces.farm.values.codec import Codec; codec = Codec(b'k' * 32)\n"
        "body = codec.encode(({'steps': 20}, [1.5], collections.OrderedDict(a=1))).body; codec.decode(body)\n"
        "print([name for name in ('numpy', 'torch', 'PIL', 'gradio', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr
