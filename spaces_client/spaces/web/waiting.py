"""What a visitor sees while a task waits: its place and the expected seconds, as progress and toasts of the page.

A call that begins at once shows nothing of this, and nobody is asked for its place who would not see it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from spaces.farm.events import Bar, Progressed, Said
from spaces.farm.units import ordinal, seconds_in_words

if TYPE_CHECKING:
    from spaces.farm.queue.outlook import Place

#: Seconds without a word after which a call counts as waiting, and its visitor is told so.
FIRST_LOOK = 0.5

#: Seconds between two looks at the place, and at whether the visitor is still there; the stream is not polled.
LOOK_INTERVAL = 1.0

#: As ZeroGPU says it.
TITLE = "ZeroGPU queue"
WAITING = Said("Waiting for a GPU to become available", "info", TITLE)
ACQUIRED = Said("Successfully acquired a GPU", "success", TITLE)


class Visitor(Protocol):
    """Whoever waits for a task, as far as they can be told something."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""

    @property
    def listens(self) -> bool:
        """Whether `tell` reaches anybody."""

    def tell(self, event: Progressed | Said) -> None: ...


class Wait:
    """One task's wait, as its visitor sees it. `place` says where the task stands, None if it does not wait."""

    def __init__(self, visitor: Visitor, place: Callable[[], Place | None]) -> None:
        self._visitor = visitor
        self._place = place
        self._since = time.monotonic()
        self._over = not visitor.listens
        self._shown = ""

    @property
    def patience(self) -> float:
        """Seconds to wait for a word of the task before the next look."""
        return LOOK_INTERVAL if self._over or self._shown else FIRST_LOOK

    def look(self) -> None:
        """Nothing was heard of the task for a while: show where it stands, if that has changed."""
        place = None if self._over else self._place()
        if place is None or (text := in_words(place)) == self._shown:
            return
        if not self._shown:
            self._visitor.tell(WAITING)
        self._shown = text
        self._visitor.tell(Progressed((Bar(None, None, text, None, self._fraction(place)),)))

    def over(self) -> None:
        """The task has begun."""
        if self._shown:
            self._visitor.tell(Progressed(()))
            self._visitor.tell(ACQUIRED)
        self._over, self._shown = True, ""

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
