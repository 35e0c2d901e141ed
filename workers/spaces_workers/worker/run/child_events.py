"""Which messages of a child become events of its task: those of the function. All others are the farm's own words."""

from __future__ import annotations

from spaces.farm.events import Cancelled, ChangedGlobals, Failed, Progressed, Said, Succeeded, Yielded
from spaces_workers.link.channel import Garbled

_OF_A_CHILD = (Yielded, Progressed, Said, ChangedGlobals, Succeeded, Failed, Cancelled)

ChildEvent = Yielded | Progressed | Said | ChangedGlobals | Succeeded | Failed | Cancelled


def event_of_child(message: object) -> ChildEvent:
    """The message itself. Raises Garbled for any that a child does not send while it runs a task.

    A Space's code that writes to the socket could otherwise end its task as lost, which costs nothing.
    """
    if not isinstance(message, _OF_A_CHILD):
        raise Garbled(f"{type(message).__name__} is not an event of a function")
    return message
