"""Shows a visitor the place and the expected wait of a task, as progress and toasts of the page.

A call that begins at once shows nothing. `waiting_room.py` fetches the places.
"""

from __future__ import annotations

import time
from collections.abc import Container
from typing import TYPE_CHECKING, Protocol

from spaces.farm.events import Bar, Progressed, Said
from spaces.farm.units import ordinal, seconds_in_words

if TYPE_CHECKING:
    from spaces.farm.queue.outlook import Place

#: The words of ZeroGPU.
TITLE = "ZeroGPU queue"
WAITING = Said("Waiting for a GPU to become available", "info", TITLE)
ACQUIRED = Said("Successfully acquired a GPU", "success", TITLE)


#: For one check of many visitors: by the id of each page's queue, the events that are still wanted.
Rolls = dict[int, Container[str]]


class Visitor(Protocol):
    """The visitor of a task."""

    @property
    def listens(self) -> bool:
        """Whether `tell` shows anything."""

    def is_gone(self, rolls: Rolls) -> bool:
        """Whether the visitor has left. `rolls` caches facts for one check of many visitors."""

    def tell(self, event: Progressed | Said) -> None: ...


class Wait:
    """Shows the wait of one task to its visitor."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.is_over = False
        self._since = time.monotonic()
        self._shown = ""

    def show(self, place: Place | None) -> None:
        """Show the place of the task, if it has changed; None: it does not wait, or its place is unknown."""
        if self.is_over or place is None or (text := in_words(place)) == self._shown:
            return
        if not self._shown:
            self.visitor.tell(WAITING)
        self._shown = text
        self.visitor.tell(Progressed((Bar(None, None, text, None, self._fraction(place)),)))

    def over(self) -> None:
        """Show that the task has begun."""
        self.is_over = True
        if self._shown:
            self.visitor.tell(Progressed(()))
            self.visitor.tell(ACQUIRED)

    def _fraction(self, place: Place) -> float:
        """The elapsed fraction of the wait; Gradio shows a bar's text only with a fraction."""
        waited = time.monotonic() - self._since
        return 0.0 if place.seconds is None else waited / (waited + place.seconds)


def in_words(place: Place) -> str:
    """`Queue: 3rd of 7, about 40 s`."""
    text = f"Queue: {ordinal(place.ahead + 1)} of {place.waiting}"
    if place.paused:
        return f"{text}, paused by the operator"
    if place.seconds is None:
        return f"{text}, no worker can run it yet"
    return f"{text}, about {seconds_in_words(max(1.0, place.seconds))}"
