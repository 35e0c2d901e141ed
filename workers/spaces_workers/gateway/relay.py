"""Passes the events of all pages' tasks on, as the broker published them: one connection, one thread for all pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import get_args

from redis import Redis

from spaces.errors import RefusedError
from spaces.farm import wire
from spaces.farm.events import End
from spaces.farm.links.frames import EVENT, FAILURE, frame
from spaces.farm.links.messages import Undeliverable
from spaces.farm.stream.delivery import Delivery
from spaces.farm.stream.entries import BEFORE_ALL, Entry, are_several, entry_of
from spaces.farm.stream.inbox import Inbox
from spaces_workers.gateway.outlet import Outlet

_ENDS = tuple(cls.__name__.encode() for cls in get_args(End))

#: The name of a message's class stands within so many of its first bytes.
_NAME_WITHIN = 24


class Reader:
    """The session that gets events: where they go, the Space for which it asked, and its tasks that have not ended."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.tasks: set[str] = set()
        self.takes_several = False  #: events in one message


class Forwarding(Delivery):
    """A delivery to a page, where the page's own `Delivery` takes the events.

    Until `release` it holds them back: the task may turn out to be another's.
    """

    def __init__(self, task: str, space: str, reader: Reader, after: Entry = BEFORE_ALL) -> None:
        super().__init__(task, lambda _: None, lambda _: None)
        self.last = after
        self.space = space
        self.reader = reader
        self._held: list[bytes] | None = []
        self._order = threading.Lock()

    def release(self) -> None:
        """The task is the reader's: send what was held back, and what follows at once."""
        self.reader.tasks.add(self.task)
        with self._order:
            held, self._held = self._held or [], None
            for data in held:
                self.reader.outlet.send(data)

    def forward(self, entry: Entry, data: bytes) -> None:
        """Send an event, unless it was sent before."""
        if entry <= self.last:
            return
        self.last = entry
        with self._order:
            if self._held is None:
                self.reader.outlet.send(frame(EVENT, data))
            else:
                self._held.append(frame(EVENT, data))

    def fail(self, error: Exception) -> None:
        told = Undeliverable(self.task, type(error).__name__, str(error))
        self.reader.outlet.send(frame(FAILURE, wire.pack(told)))


class Relay(Inbox):
    """An inbox whose readers are in other processes. It unpacks no event."""

    fetch, batch = 16, 32  # pages of many Spaces share this memory: a value in a stream has up to 64 kB

    def __init__(self, connect: Callable[[], Redis]) -> None:
        super().__init__(connect)

    def expect(self, made: Forwarding) -> None:
        """Pass on the events of a task that is about to be pushed. Raises RefusedError for a task of another Space."""
        known = self._deliveries.get(made.task)
        if isinstance(known, Forwarding) and known.space != made.space:
            raise RefusedError("a task of this id exists")
        self._watched(made)

    def catch_up(self, made: Forwarding) -> None:
        """Pass on the events of a task that was pushed before, after `made.last`. Raises redis's errors."""
        made.release()
        self._joined(made)

    def drop(self, made: Forwarding) -> None:
        """Pass on nothing by this any more. Its page may have connected again, and have another for the same task."""
        with self._lock:
            if self._deliveries.get(made.task) is made:
                del self._deliveries[made.task]

    def forget_all(self, reader: Reader) -> None:
        """Pass on nothing to this reader any more."""
        with self._lock:
            for key, each in list(self._deliveries.items()):
                if isinstance(each, Forwarding) and each.reader is reader:
                    del self._deliveries[key]

    def pay(self, task: str, tokens: int) -> None:
        """Give credit to the writer of a task."""
        self._pay(task, tokens)

    def _put(self, delivery: Delivery, entry: bytes, attempt: bytes, packed: bytes) -> None:
        if not isinstance(delivery, Forwarding):
            return
        if are_several(packed) and not delivery.reader.takes_several:
            self._catch_up([delivery])  # the stream has them one by one
            return
        delivery.heard_at = time.monotonic()
        delivery.forward(entry_of(entry), b" ".join((delivery.task.encode(), entry, attempt, packed)))
        if is_end(packed):
            delivery.reader.tasks.discard(delivery.task)
            self.drop(delivery)


def is_end(packed: bytes) -> bool:
    """Whether a packed event is the last of its task, from the name that it begins with."""
    head = packed[:_NAME_WITHIN]
    return any(name in head for name in _ENDS)
