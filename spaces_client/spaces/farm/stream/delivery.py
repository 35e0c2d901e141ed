"""Passes the events of one task from the inbox's thread to the task's reader, in order and each once.

The reader is a thread or a coroutine. Waiting costs a coroutine no thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from spaces.farm.events import Event, Started, Yielded, is_end, payload_of
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.keys import YIELDS_PER_CREDIT
from spaces.farm.stream.entries import BEFORE_ALL, Entry


class Delivery:
    """One task's events. The inbox puts them in; one reader at a time takes them out.

    If a worker dies before the end, its events are followed by `Started` of the next attempt; those of them that are
    unread by then are skipped, and their values given to `drop`.
    """

    def __init__(self, task: str, pay: Callable[[int], None], drop: Callable[[Payload], None]) -> None:
        self.task = task
        self.last = BEFORE_ALL  #: the newest entry that was put
        self.is_behind = False  #: the stream has events that were not put; they are read from there
        self.heard_at = time.monotonic()  #: when the task's last event arrived
        self._pay = pay
        self._drop = drop
        self._lock = threading.Lock()
        self._pending: deque[tuple[int, Event | Exception]] = deque()
        self._wake: Callable[[], object] | None = None
        self._attempt = 0
        self._unpaid = 0
        self._ended = False

    # --- the inbox's thread

    def put(self, entry: Entry, attempt: int, events: Sequence[Event]) -> bool:
        """Add events up to this entry, unless they were added before. Returns whether the last is the task's end."""
        if entry <= self.last:
            return False
        self.last, self.heard_at = entry, time.monotonic()
        with self._lock:
            void = self._void_before(attempt) if any(isinstance(event, Started) for event in events) else []
            self._pending.extend((attempt, event) for event in events)
        self._ring()
        for value in void:
            self._drop(value)
        return is_end(events[-1])

    def _void_before(self, attempt: int) -> list[Payload]:
        """Drop the events of older attempts; return their values."""
        void = [event for number, event in self._pending if number < attempt]
        self._pending = deque(each for each in self._pending if each[0] >= attempt)
        values = [payload_of(event) for event in void if not isinstance(event, Exception)]
        return [value for value in values if value is not None]

    def fail(self, error: Exception) -> None:
        """Raise an error in the reader, after the events that were put before."""
        with self._lock:
            self._pending.append((self._attempt, error))
        self._ring()

    def _ring(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    # --- the reader

    def next_event(self, timeout: float | None) -> Event | None:
        """The next event; None after `timeout` seconds without one, and after the end.

        Raises FarmUnavailable if the broker stays away, and TaskLost if it no longer knows the task.
        """
        if self._pending or self._ended:
            return self._taken()
        arrived = threading.Event()
        if not self._awaits(arrived.set):
            return self._taken()
        return self._taken() if arrived.wait(timeout) else None

    async def next_event_async(self) -> Event | None:
        """The next event, or None after the end. Raises the same errors."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        if self._awaits(lambda: loop.call_soon_threadsafe(arrived.set)):
            await arrived.wait()
        return self._taken()

    def _awaits(self, wake: Callable[[], object]) -> bool:
        """Whether the next event must be waited for; then `wake` is called once, when it is there."""
        with self._lock:
            if self._pending or self._ended:
                return False
            self._wake = wake
            return True

    def _taken(self) -> Event | None:
        with self._lock:
            if not self._pending:
                return None
            attempt, event = self._pending.popleft()
        if isinstance(event, Exception):
            raise event
        if attempt > self._attempt:
            self._attempt, self._unpaid = attempt, 0
        if isinstance(event, Yielded):
            self._count_yield()
        self._ended = is_end(event)
        return event

    def _count_yield(self) -> None:
        """Give the writer one credit for every YIELDS_PER_CREDIT yields."""
        self._unpaid += 1
        if self._unpaid == YIELDS_PER_CREDIT:
            self._unpaid = 0
            self._pay(1)
