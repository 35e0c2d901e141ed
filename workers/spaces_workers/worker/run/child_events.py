"""Chooses the messages of a child that become events of its task, and those that are written together.

Those of the function become events. All others are the farm's own words.
"""

from __future__ import annotations

from dataclasses import dataclass

from spaces.farm.events import Cancelled, ChangedGlobals, Failed, Progressed, Said, Succeeded, Yielded, is_end
from spaces_workers.link.channel import Channel, Garbled

_OF_A_CHILD = (Yielded, Progressed, Said, ChangedGlobals, Succeeded, Failed, Cancelled)

ChildEvent = Yielded | Progressed | Said | ChangedGlobals | Succeeded | Failed | Cancelled


def event_of_child(message: object) -> ChildEvent:
    """The message itself. Raises Garbled for any that a child does not send while it runs a task.

    A Space's code that writes to the socket could otherwise end its task as lost, which costs nothing.
    """
    if not isinstance(message, _OF_A_CHILD):
        raise Garbled(f"{type(message).__name__} is not an event of a function")
    return message


@dataclass(frozen=True, slots=True)
class Arrived:
    """Messages that arrived together."""

    events: tuple[object, ...]
    last: object | None = None  #: after which no event follows: an end, or another message than an event


def arrived_together(channel: Channel, most: int) -> Arrived:
    """The next message of a child, with those that have arrived behind it, up to an end, and at most so many.

    While one write is under way a fast stream sends the next messages; the first message of all waits for no other.
    Raises ChannelClosed if there is no message.
    """
    messages = [channel.receive()]
    if not _is_last(messages[0]):
        messages += channel.receive_more(most - 1, _is_last) if most > 1 else []
    if _is_last(messages[-1]):
        return Arrived(tuple(messages[:-1]), messages[-1])
    return Arrived(tuple(messages))


def _is_last(message: object) -> bool:
    return not isinstance(message, _OF_A_CHILD) or is_end(message)
