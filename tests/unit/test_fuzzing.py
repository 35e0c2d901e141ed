"""Whatever others send or write: each reader answers with a value or with its documented error, in bounded memory.

Damaged bytes are our own with some of them replaced, removed, repeated or cut off: random ones hardly get anywhere.
"""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from spaces.errors import EncodingError
from spaces.farm import wire
from spaces.farm.events import Bar, Failed, Progressed, Succeeded
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue import settings as farm_settings
from spaces.farm.queue.rules import Rules
from spaces.farm.queue.settings import SettingsFault
from spaces.farm.task import FunctionName
from spaces.farm.values.codec import Codec
from spaces.farm.wire import BadMessage
from spaces.front_matter import front_matter
from spaces.source import Source
from spaces_workers.isolation.requirements import requirements_of
from spaces_workers.link.channel import Channel, ChannelClosed
from spaces_workers.link.incoming import LENGTH
from spaces_workers.link.messages import Fork, Forked, Idle, MemoryUse, RunTask

#: Bytes that reading a damaged message of a few hundred bytes may take at once.
MOST_BYTES = 8 * 2**20

MESSAGES = [
    Idle(clean=True, memory=MemoryUse(1, None)),
    Progressed((Bar(1, 2.5, None, "it", None),)),
    Failed("ValueError", "\udcff", "", Payload(b"error")),
    RunTask("id", "digits.generate", FunctionName("__main__", "generate"), Payload(b"arguments"), far=False),
    Succeeded(Payload(b"value"), 1.0),
    Fork("0", 0.5),
    Forked(1),
]

VALUES: list[object] = [
    {"text": "ü", "list": [1, 2.5, None, True], 3: b"bytes", "tuple": (1, (2,))},
    numpy.arange(12, dtype="float32").reshape(3, 4)[:, ::2],
    Image.new("RGB", (4, 3), "red"),
    torch.arange(6.0).reshape(2, 3),
    {1, 2, 3},
    complex(1, 2),
]

SETTINGS = """
[rank]
weight = 120
[limits]
space_queue = 1000
longest_wait = 3600
[quota]
enabled = true
[tiers.lab]
seconds = 1500
[visitors]
ada = "lab"
[isolation]
level = "users"
[spaces.digits]
fork = false
"""

README = '---\ntitle: "Digits"\nemoji: 📣 # a comment\ncolorFrom: red\nsdk: gradio\n---\n# Digits\n'

REQUIREMENTS = (
    "torch>=2; python_version > '3'\n-r more.txt\n--pre\n-e .\ngit+https://x/y@z\nnumpy[a,b]==1.* --hash=sha256:0 \\\n"
)


def damaged(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes with some of them replaced, removed, repeated or cut off."""
    return st.builds(
        _damage, whole, st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 3), st.binary(max_size=5)))
    )


def _damage(data: bytes, blows: list[tuple[int, int, bytes]]) -> bytes:
    for place, kind, new in blows:
        at = place % (len(data) + 1)
        match kind:
            case 0:
                data = data[:at] + new + data[at + len(new) :]
            case 1:
                data = data[:at] + data[at + len(new) :]
            case 2:
                data = data[:at] + data[at : at + 8] * 2 + data[at + 8 :]
            case _:
                data = data[:at] if new == b"" else data
    return data


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fail if more than MOST_BYTES are taken at once within."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


fuzzed = settings(max_examples=300)

messages = damaged(st.sampled_from(MESSAGES).map(wire.pack)) | st.binary(max_size=200)
texts = damaged(st.sampled_from([SETTINGS, README, REQUIREMENTS]).map(str.encode)) | st.binary(max_size=300)


@fuzzed
@given(messages)
def test_a_damaged_message_is_a_message_or_the_one_error(data: bytes) -> None:
    with bounded_memory(), suppress(BadMessage):
        wire.unpack(data)


@fuzzed
@given(st.lists(messages, max_size=4), st.binary(max_size=8))
def test_whatever_comes_through_a_channel_is_messages_and_then_its_end(parts: list[bytes], rest: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    theirs.sendall(b"".join(LENGTH.pack(len(part)) + part for part in parts) + rest)
    theirs.close()
    with bounded_memory(), suppress(ChannelClosed):
        while True:
            channel.receive()
    channel.close()


@fuzzed
@given(st.data())
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_damaged_value_is_a_value_or_the_one_error(value: object, data: st.DataObject) -> None:
    encoded = Codec(b"key" * 11).encode(value)
    body = data.draw(damaged(st.just(bytes(encoded.body))))
    buffers = [data.draw(damaged(st.just(bytes(buffer)))) for buffer in encoded.buffers]
    with bounded_memory(), suppress(EncodingError):
        Codec(b"key" * 11).decode(body, buffers)


@fuzzed
@given(texts)
def test_a_damaged_farm_toml_is_rules_or_the_one_error(data: bytes) -> None:
    def read(folder: Path) -> None:
        with suppress(SettingsFault):
            assert isinstance(farm_settings.read(folder / "farm.toml"), Rules)

    _with_file("farm.toml", data, read)


@fuzzed
@given(texts)
def test_a_damaged_readme_has_some_front_matter_or_none(data: bytes) -> None:
    def read(folder: Path) -> None:
        assert all("\n" not in key + value for key, value in front_matter(folder).items())

    _with_file("README.md", data, read)


@fuzzed
@given(texts)
@example(b"-r\0more.txt\n-c\0")
def test_damaged_requirements_are_some_requirements(data: bytes) -> None:
    def read(folder: Path) -> None:
        found = requirements_of(Source(folder / "app.py"))
        found.specifier("torch")
        assert isinstance(found.names_local_files, bool)

    _with_file("requirements.txt", data, read)


def _with_file(name: str, data: bytes, read: Callable[[Path], None]) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "app.py").touch()
        (Path(folder) / name).write_bytes(data)
        with bounded_memory():
            read(Path(folder))
