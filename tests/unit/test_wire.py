"""Messages of a neighbouring version: its fields come at the end, and are ignored or have a default."""

from __future__ import annotations

import msgpack

from spaces.farm import wire
from spaces.farm.events import Crashed, TimedOut


def packed(*parts: object) -> bytes:
    """A message as another version packs it: the name of its class, then its fields."""
    data: bytes = msgpack.packb(msgpack.ExtType(1, msgpack.packb(parts)))
    return data


def test_a_field_that_an_older_version_does_not_send_has_its_default() -> None:
    assert wire.unpack(packed("Crashed", "exited with code 3", 1.5)) == Crashed("exited with code 3", 1.5)


def test_a_field_that_only_a_newer_version_knows_is_ignored() -> None:
    """Before, a page of the last version could not read the end of a task: a TypeError instead of its error."""
    assert wire.unpack(packed("TimedOut", 61.0, 60.0, 0.0, "on gpu0", [1])) == TimedOut(61.0, 60.0)
