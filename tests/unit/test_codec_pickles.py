"""What has no row in the table goes by pickle, and no pickle is opened that the Space's key did not sign."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import gc
import pickle
import re
import warnings
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgpack
import numpy as np
import pytest

from spaces.errors import EncodingError
from spaces.farm.values.codec import Codec
from spaces.farm.values.codec_types import Kind
from spaces.farm.values.signing import derive_space_key, sign, verify

FARM_KEY = b"the key of a farm"
KEY = derive_space_key(FARM_KEY, "digits")


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.StrEnum):
    RED = "red"


@dataclasses.dataclass
class Settings:
    steps: int
    mask: np.ndarray[Any, Any]


class FilePath(str):
    """Like the path that `gr.File` gives to a function."""

    name: str


class Mine(dict[str, int]):
    pass


def round_trip(value: Any, codec: Codec | None = None) -> Any:  # any: whatever was sent
    codec = codec or Codec(KEY)
    encoded = codec.encode(value)
    return codec.decode(bytes(encoded.body), tuple(map(bytes, encoded.buffers)))


@pytest.mark.parametrize(
    "value",
    [
        Point(1, 2),
        Colour.RED,
        Mine(a=1),
        collections.OrderedDict(a=1),
        collections.Counter("abc"),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(2026, 1, 1, tzinfo=timezone.utc),  # noqa: UP017  # the spelling of older Spaces
        re.compile("a+"),
        functools.partial(int, base=2),
        Exception("text"),
        int,
        len,
        ...,
    ],
    ids=repr,
)
def test_a_value_of_any_type_keeps_its_type(value: object) -> None:
    result = round_trip([value])[0]
    assert type(result) is type(value)
    assert repr(result) == repr(value)


def test_a_subclass_of_str_keeps_its_attributes() -> None:
    path = FilePath("/tmp/upload.png")
    path.name = "upload.png"
    result = round_trip({"file": path})["file"]
    assert (type(result), result, result.name) == (FilePath, "/tmp/upload.png", "upload.png")


def gradio_and_component() -> tuple[Any, Any]:  # any: gradio is untyped here
    """Gradio leaves event loops open when it is imported; they are collected here, where warnings are allowed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gradio: Any = pytest.importorskip("gradio")  # any: as above
        with gradio.Blocks():
            component = gradio.Gallery()
        gc.collect()
    return gradio, component


def test_gradios_own_argument_types_come_back() -> None:
    gradio, component = gradio_and_component()
    from gradio.utils import NamedString

    event = gradio.SelectData(target=component, data={"index": 3, "value": "x"})
    path, request, selected = round_trip((NamedString("/tmp/a"), gradio.Request(username="ada"), event))
    assert path.name == "/tmp/a"
    assert request.username == "ada"
    assert (selected.index, selected.value, selected.target) == (3, "x", None)


def test_an_array_inside_an_object_stays_outside_the_pickle_and_is_writable() -> None:
    encoded = Codec(KEY).encode(Settings(20, np.zeros(10_000)))
    assert [len(buffer) for buffer in encoded.buffers] == [80_000]
    result = Codec(KEY).decode(encoded.body, tuple(map(bytes, encoded.buffers)))
    assert result.steps == 20
    result.mask[0] = 1.0


def test_sharing_inside_an_object_is_kept() -> None:
    mask = np.zeros(3)
    pair = round_trip(collections.OrderedDict(a=mask, b=mask))
    assert pair["a"] is pair["b"]


def test_without_a_key_nothing_is_pickled() -> None:
    with pytest.raises(
        EncodingError, match=r"Point cannot be sent to another process: it needs the Space's key\. Send plain data"
    ):
        Codec().encode([Point(1, 2)])


SPRUNG: list[str] = []


def spring(text: str) -> None:
    SPRUNG.append(text)


class Trap:
    """Unpickling it would be noticed."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return spring, ("it was opened",)


def forged(signature: bytes, pickled: bytes, *buffers: bytes) -> bytes:
    mark = msgpack.ExtType(Kind.PICKLE.value, b"")
    packed: bytes = msgpack.packb([mark, signature, pickled, *buffers])
    return packed


@pytest.mark.parametrize(
    ("codec", "signature"),
    [
        (Codec(), sign(KEY, pickle.dumps(Trap()), ())),
        (Codec(KEY), b""),
        (Codec(KEY), b"0" * 32),
        (Codec(KEY), sign(derive_space_key(FARM_KEY, "chat"), pickle.dumps(Trap()), ())),
        (Codec(KEY), sign(KEY, pickle.dumps("another"), ())),
        (Codec(KEY), sign(KEY, pickle.dumps(Trap()), (b"a buffer",))),
    ],
    ids=["no key", "unsigned", "nonsense", "another Space's key", "another pickle", "another number of buffers"],
)
def test_a_pickle_that_the_key_did_not_sign_is_never_opened(codec: Codec, signature: bytes) -> None:
    with pytest.raises(EncodingError, match="pickle"):
        codec.decode(forged(signature, pickle.dumps(Trap())))
    assert SPRUNG == []


def test_a_trap_that_is_signed_springs() -> None:
    """The test above could not fail if the trap did not work."""
    Codec(KEY).decode(forged(sign(KEY, pickle.dumps(Trap()), ()), pickle.dumps(Trap())))
    assert SPRUNG.pop() == "it was opened"


def test_a_changed_buffer_is_noticed() -> None:
    encoded = Codec(KEY).encode(Settings(20, np.zeros(10_000)))
    changed = bytearray(encoded.buffers[0])
    changed[5] ^= 1
    with pytest.raises(EncodingError, match="not signed"):
        Codec(KEY).decode(encoded.body, (bytes(changed),))


def test_signatures_tell_apart_order_and_lengths_of_buffers() -> None:
    signature = sign(KEY, b"pickle", (b"ab", b"c"))
    assert verify(KEY, signature, b"pickle", (b"ab", b"c"))
    for buffers in ((b"a", b"bc"), (b"c", b"ab"), (b"abc",), ()):
        assert not verify(KEY, signature, b"pickle", buffers)
    assert not verify(b"", signature, b"pickle", (b"ab", b"c"))


def test_each_space_has_a_key_of_its_own() -> None:
    assert len(KEY) == 32
    assert derive_space_key(FARM_KEY, "digits") == KEY
    assert derive_space_key(FARM_KEY, "digit") != KEY
    assert derive_space_key(FARM_KEY + b"!", "digits") != KEY


def test_a_farm_key_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes, got 6"):
        derive_space_key(b"secret", "digits")


def test_a_class_that_the_other_side_lacks_is_an_encoding_error() -> None:
    encoded = Codec(KEY).encode(Point(1, 2))
    pickled = pickle.dumps(Point(1, 2)).replace(b"Point", b"Plant")
    assert encoded.body
    with pytest.raises(EncodingError, match="Plant"):
        Codec(KEY).decode(forged(sign(KEY, pickled, ()), pickled))
