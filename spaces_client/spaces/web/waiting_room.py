"""Serves the waiting visitors of a process, on one thread: shows their places, and cancels the tasks of those who left.

A call without a page never enters. While the room is empty, its thread sleeps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from spaces.web.waiting import Rolls, Wait

if TYPE_CHECKING:
    from spaces.farm.queue.outlook import Place
    from spaces.farm.task import Task

logger = logging.getLogger(__name__)

#: Seconds between two checks of the room.
INTERVAL = 0.5

#: Seconds between two readings of one task's place; twice as long if more than MANY wait.
PLACE_INTERVAL = 1.0
MANY = 200


class Places(Protocol):
    """The farm's operations that the room needs."""

    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        """The places of tasks, in one request; None for each that does not wait."""

    def cancel(self, task: Task, reason: str) -> None: ...


@dataclass(slots=True, eq=False)
class Guest:
    """One call in the room."""

    wait: Wait
    task: Task
    farm: Places
    due_at: float  #: when its place is read next


class WaitingRoom:
    """The calls of one process whose visitors see a page."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._changed = threading.Condition()
        self._guests: dict[Wait, Guest] = {}
        self._thread: threading.Thread | None = None

    def enter(self, wait: Wait, task: Task, farm: Places) -> None:
        """Add a call. Its place is shown once it has waited for a moment."""
        with self._changed:
            self._guests[wait] = Guest(wait, task, farm, time.monotonic() + self._interval)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="zerofarm-waiting-room", daemon=True)
                self._thread.start()
            self._changed.notify()

    def leave(self, wait: Wait) -> None:
        """Remove a call that has ended, or that is not waited for any more."""
        with self._changed:
            self._guests.pop(wait, None)

    def look(self) -> None:
        """Check every call once."""
        with self._changed:
            guests = list(self._guests.values())
        rolls: Rolls = {}
        gone = [guest for guest in guests if guest.wait.visitor.is_gone(rolls)]
        for guest in gone:
            guest.farm.cancel(guest.task, "the visitor left")
            self.leave(guest.wait)
        self._show_places([guest for guest in guests if self._is_due(guest)])

    def _run(self) -> None:
        level = logging.WARNING
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._guests)
            time.sleep(self._interval)
            try:
                self.look()
                level = logging.WARNING
            except Exception as error:  # of the broker, or of Gradio: the next check follows soon
                logger.log(level, "visitors could not be shown their places: %s", error)
                level = logging.DEBUG  # an outage is logged once

    def _is_due(self, guest: Guest) -> bool:
        return guest.wait in self._guests and not guest.wait.is_over and guest.due_at <= time.monotonic()

    def _show_places(self, guests: list[Guest]) -> None:
        guests.sort(key=lambda guest: id(guest.farm))
        for _, group in groupby(guests, key=lambda guest: id(guest.farm)):
            together = list(group)
            places = together[0].farm.places([guest.task for guest in together])
            for guest, place in zip(together, places, strict=True):
                guest.wait.show(place)
                guest.due_at = time.monotonic() + self._pause

    @property
    def _pause(self) -> float:
        """Seconds between two readings, less half a check, so that none is a whole check late."""
        pause = PLACE_INTERVAL if len(self._guests) <= MANY else 2 * PLACE_INTERVAL
        return pause - self._interval / 2


#: The room of this process.
room = WaitingRoom()
