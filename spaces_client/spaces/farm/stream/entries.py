"""The entries of a task's stream: their ids, and the events in them."""

from __future__ import annotations

from spaces.farm import wire
from spaces.farm.events import Event, Started
from spaces.farm.version import check_version

#: The id of a stream's entry: milliseconds and a number within them. Ids of one stream only grow.
Entry = tuple[int, int]

BEFORE_ALL: Entry = (0, 0)

#: The broker's numbers have 64 bits; none of ours comes near.
_LARGEST = 2**63


def entry_of(text: str | bytes) -> Entry:
    """The id as the broker writes it, `1700000000000-0`. Raises ValueError."""
    milliseconds, _, number = (text if isinstance(text, str) else text.decode()).partition("-")
    entry = int(milliseconds), int(number)
    if not all(0 <= each < _LARGEST for each in entry):
        raise ValueError(f"no entry of a stream is named {text!r}")
    return entry


def events_of(task: str, packed: bytes) -> tuple[Event, ...]:
    """The event in an entry, or those in a message, which were written together.

    Raises wire.BadMessage, and RefusedError if their worker has a version of its own.
    """
    found: Event | tuple[Event, ...] = wire.unpack(packed)
    events = found if isinstance(found, tuple) else (found,)
    for event in events:
        if isinstance(event, Started):
            check_version(f"the stream of task {task}", event.version)
    return events


def are_several(packed: bytes) -> bool:
    """Whether a message has several events, as `append.lua` packs them: a list of msgpack, with a length of 16 bits."""
    return packed.startswith(b"\xdc")
