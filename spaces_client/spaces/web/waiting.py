"""What a visitor sees while a task waits: its place and the expected seconds, as progress and toasts of the page.

A call that begins at once shows nothing of this. `waiting_room.py` asks for the places.
"""

from __future__ import annotations

import time
from collections.abc import Container
from typing import TYPE_CHECKING, Protocol

from spaces.farm.events import Bar, Progressed, Said
from spaces.farm.units import ordinal, seconds_in_words

if TYPE_CHECKING:
    from spaces.farm.queue.outlook import Place

#: As ZeroGPU says it.
TITLE = "ZeroGPU queue"
WAITING = Said("Waiting for a GPU to become available", "info", TITLE)
ACQUIRED = Said("Successfully acquired a GPU", "success", TITLE)


#: For one look at many visitors: of each page's queue, by its id, the events that are still wanted.
Rolls = dict[int, Container[str]]


class Visitor(Protocol):
    """Whoever waits for a task, as far as they can be told something."""

    @property
    def listens(self) -> bool:
        """Whether `tell` reaches anybody."""

    def is_gone(self, rolls: Rolls) -> bool:
        """Whether nobody waits any more. `rolls` serves one look at many visitors."""

    def tell(self, event: Progressed | Said) -> None: ...


class Wait:
    """One task's wait, as its visitor sees it."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.is_over = False
        self._since = time.monotonic()
        self._shown = ""

    def show(self, place: Place | None) -> None:
        """Show where the task stands, if that has changed; None: it does not wait, or nobody can tell."""
        if self.is_over or place is None or (text := in_words(place)) == self._shown:
            return
        if not self._shown:
            self.visitor.tell(WAITING)
        self._shown = text
        self.visitor.tell(Progressed((Bar(None, None, text, None, self._fraction(place)),)))

    def over(self) -> None:
        """The task has begun."""
        self.is_over = True
        if self._shown:
            self.visitor.tell(Progressed(()))
            self.visitor.tell(ACQUIRED)

    def _fraction(self, place: Place) -> float:
        """The part of the wait that is over; Gradio shows the words of a bar only where there is one."""
        waited = time.monotonic() - self._since
        return 0.0 if place.seconds is None else waited / (waited + place.seconds)


def in_words(place: Place) -> str:
    """`Queue: 3rd of 7, about 40 s`."""
    text = f"Queue: {ordinal(place.ahead + 1)} of {place.waiting}"
    if place.seconds is None:
        return f"{text}, no worker is there to run it yet"
    return f"{text}, about {seconds_in_words(max(1.0, place.seconds))}"
