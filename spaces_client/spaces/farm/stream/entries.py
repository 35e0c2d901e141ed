"""The entries of a task's stream: their ids, and the events in them."""

from __future__ import annotations

from spaces.farm import wire
from spaces.farm.events import Event, Started
from spaces.farm.version import check_version

#: The id of a stream's entry: milliseconds and a number within them. Ids of one stream only grow.
Entry = tuple[int, int]

BEFORE_ALL: Entry = (0, 0)


def entry_of(text: str | bytes) -> Entry:
    """The id as the broker writes it, `1700000000000-0`. Raises ValueError."""
    milliseconds, _, number = (text if isinstance(text, str) else text.decode()).partition("-")
    return int(milliseconds), int(number)


def event_of(task: str, packed: bytes) -> Event:
    """The event in an entry. Raises wire.BadMessage, and RefusedError if its worker has a version of its own."""
    event: Event = wire.unpack(packed)
    if isinstance(event, Started):
        check_version(f"the stream of task {task}", event.version)
    return event
