"""Bytes become messages of known classes with fields of the right types, or one documented error."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import Any

import msgpack
import pytest

from spaces.errors import ScriptFailed, SpacesError
from spaces.farm import wire
from spaces.farm.events import Bar, Crashed, Failed, Progressed, Said, Started, Succeeded, TimedOut
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.registry import ImportCall
from spaces.farm.task import FunctionName, Task
from spaces.farm.values.codec import Codec
from spaces.farm.values.failure import rebuild
from spaces.farm.wire import BadMessage
from spaces_workers.link.messages import Idle, MemoryUse

for module in ("spaces.state.changes", "spaces.farm.queue.forecast"):
    importlib.import_module(module)  # they define messages


def packed(name: object, *values: object) -> bytes:
    """A message as another version, or a damaged process, may send it."""
    inner = msgpack.packb([name, *values], default=wire._flatten)
    data: bytes = msgpack.packb(msgpack.ExtType(1, inner))
    return data


@pytest.mark.parametrize("name", sorted(wire._CLASSES))
def test_every_message_has_types_that_can_be_checked_and_defaults_only_at_its_end(name: str) -> None:
    shape = wire._shape(name)
    assert len(shape.allowed) == len(fields(shape.cls))
    assert all(isinstance(each, type) for allowed in shape.allowed for each in allowed)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (packed("Idle", True, "much"), "field 'memory' of message Idle must be MemoryUse, got str"),
        (packed("Idle", True), "message Idle needs at least 2 fields, got 1"),
        (packed("MemoryUse", "1", None), "field 'held_bytes' of message MemoryUse must be int, got str"),
        (packed("MemoryUse", 1, "2"), "field 'peak_bytes' of message MemoryUse must be int or NoneType, got str"),
        (packed("Failed", "spaces.errors.ScriptFailed", None, ""), "field 'text' of message Failed must be str, got"),
        (packed("Failed", "spaces.errors.ScriptFailed"), "message Failed needs at least 3 fields, got 1"),
        (packed("Progressed", [1, 2]), "a sequence in message Progressed has a member of a wrong type"),
        (packed("Succeeded", Payload(), [1]), "field 'seconds' of message Succeeded must be float or int, got tuple"),
        (packed("Unheard"), "unknown message 'Unheard': both sides must run neighbouring versions of zerofarm"),
        (packed(["list"]), "unknown message"),
        (packed({}), "no message can be read from"),
        (msgpack.packb(msgpack.ExtType(1, msgpack.packb(7))), "no message can be read from"),
        (msgpack.packb(msgpack.ExtType(2, b"")), "unknown extension 2"),
        (b"\x81\x80\x01", "no message can be read from"),  # a map whose key is a map
        (b"", "no message can be read from"),
        (wire.pack(Started("w", "d")) + b"\x00", "no message can be read from"),
    ],
)
def test_what_is_no_message_is_one_documented_error(data: bytes, words: str) -> None:
    """Several were a TypeError, or an AttributeError where the field was used."""
    with pytest.raises(BadMessage, match=words):
        wire.unpack(data)
    assert issubclass(BadMessage, SpacesError)


def test_messages_within_messages_beyond_any_depth_are_that_error_too() -> None:
    data = packed("Idle", True)  # a damaged process could crash its reader
    for _ in range(2000):
        data = packed("Idle", True, msgpack.unpackb(data))
    with pytest.raises(BadMessage):
        wire.unpack(data)


@pytest.mark.parametrize(
    "message",
    [
        Idle(clean=True, memory=MemoryUse(1, None)),
        Progressed((Bar(1, 2.5, None, "it", None),)),
        Said("text", duration=None),
        ImportCall(FunctionName("m", "f"), (Payload(b"x"),), Succeeded(Payload(b"y"), 1)),
        Failed("ValueError", "\udcff", "", Payload(b"error")),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_of_ours_arrives_as_it_was(message: object) -> None:
    assert wire.unpack(wire.pack(message)) == message


def test_a_message_of_another_class_than_expected_is_named() -> None:
    with pytest.raises(BadMessage, match="a message Task was expected, got Started"):
        wire.unpack_as(Task, wire.pack(Started("w", "d")))


def test_a_script_that_failed_is_raised_as_such_after_the_wire() -> None:
    failed = wire.unpack_as(Failed, packed("Failed", "spaces.errors.ScriptFailed", "it failed\nTraceback", ""))
    error = rebuild(failed, Codec())
    assert type(error) is ScriptFailed
    assert str(error) == "it failed"


def test_a_newer_side_may_add_fields_and_an_older_one_lack_them() -> None:
    """So that workers and pages of neighbouring versions can work together."""
    assert wire.unpack(packed("Started", "w", "cpu", 2, "field of the next version")) == Started("w", "cpu", 2)
    assert wire.unpack(packed("Said", "hello")) == Said("hello")


def test_a_message_of_the_first_release_is_read() -> None:
    """As version 0.1.0 packed its tasks: without the inbox that reads their events."""
    function = FunctionName("__main__", "generate")
    values: list[Any] = ["digits", function, Payload(b"a"), "", False, "large", 60.0, 30, "", "web", "host", "id", ""]
    task = wire.unpack_as(Task, packed("Task", *values))
    assert (task.id, task.visitor, task.reader, task.time_limit) == ("id", "", "", 30)


def test_two_classes_of_one_name_are_refused() -> None:
    @dataclass(frozen=True)
    class Started:
        __module__ = "elsewhere"

    with pytest.raises(TypeError, match="two messages are named Started"):
        wire.message(Started)


def test_a_field_that_an_older_version_does_not_send_has_its_default() -> None:
    assert wire.unpack(packed("Crashed", "exited with code 3", 1.5)) == Crashed("exited with code 3", 1.5)


def test_a_field_that_only_a_newer_version_knows_is_ignored() -> None:
    """Before, a page of the last version could not read the end of a task: a TypeError instead of its error."""
    assert wire.unpack(packed("TimedOut", 61.0, 60.0, 0.0, "on gpu0", [1])) == TimedOut(61.0, 60.0)
