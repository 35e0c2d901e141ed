"""Reads what a task says. The web process has one `EventReader` for each task that it waits for.

The stream is ordered and is kept, so a reader goes on where it was when the broker was away. A reader that consumes the
yields of a generator gives its writer credit (see `writer.py`), so a slow reader slows the generator.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import cast

from redis import Redis

from spaces.errors import FarmUnavailable, TaskLost
from spaces.farm import wire
from spaces.farm.events import Event, Started, Yielded, is_end
from spaces.farm.queue.keys import ENDED, YIELDS_PER_CREDIT, Keys
from spaces.farm.queue.scripts import AWAY

logger = logging.getLogger(__name__)

#: What XREAD answers: streams, each with entries, each an id and its fields.
_Reply = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]

#: Longest single wait inside the broker, after which a reader looks whether its task still exists.
SLICE = 5.0

#: Events fetched at once.
FETCH = 100

#: Seconds between two tries to reach a broker that is away.
RETRY_INTERVAL = 0.2

#: Seconds that a broker may be away before its reader gives up.
PATIENCE = 60.0


class EventReader:
    """The events of one task, in order, each once, up to its end.

        for event in EventReader(connect(url), task.id): ...

    One thread reads at a time. What a worker said that died before the end is followed by `Started` of the next
    attempt; what of it was not yet read by then is left out.
    """

    def __init__(
        self, redis: Redis, task: str, start: str = "0", keys: Keys | None = None, patience: float = PATIENCE
    ) -> None:
        self._redis = redis
        self._task = task
        self._last = start
        self._keys = keys or Keys()
        self._patience = patience
        self._fetched: deque[tuple[int, Event]] = deque()
        self._attempt = 0
        self._unpaid = 0
        self._away_since: float | None = None
        self._ended = False

    def __iter__(self) -> Iterator[Event]:
        while not self._ended:
            event = self.next_event(SLICE)
            if event is not None:
                yield event

    def next_event(self, timeout: float) -> Event | None:
        """The next event, or None after `timeout` seconds without one, and after the end.

        Raises FarmUnavailable when the broker stays away, and TaskLost when it no longer knows the task.
        """
        deadline = time.monotonic() + timeout
        while not self._fetched and not self._ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._fetch(min(left, SLICE))
        return self._next()

    def _next(self) -> Event | None:
        if not self._fetched:
            return None
        attempt, event = self._fetched.popleft()
        if attempt > self._attempt:
            self._attempt, self._unpaid = attempt, 0
        if isinstance(event, Yielded):
            self._pay()
        self._ended = is_end(event)
        return event

    def _fetch(self, wait: float) -> None:
        try:
            entries = self._read(wait)
            self._away_since = None
        except AWAY as error:
            self._bear(error, wait)
            return
        self._fetched.extend(entries)
        self._forget_older_attempts()

    def _read(self, wait: float) -> list[tuple[int, Event]]:
        """New entries; waits for the first. Milliseconds exist only here: a wait of 0 would be for ever."""
        key = self._keys.events(self._task)
        reply = self._redis.xread({key: self._last}, FETCH, max(1, round(wait * 1000)))
        entries = self._entries(cast(_Reply, reply))
        if not entries and not self._redis.exists(self._keys.task(self._task), key):
            raise TaskLost(f"task {self._task} is unknown to the broker: it was lost, or ended more than {ENDED} s ago")
        return entries

    def _entries(self, reply: _Reply) -> list[tuple[int, Event]]:
        entries = reply[0][1] if reply else []
        if entries:
            self._last = entries[-1][0].decode()
        return [(int(fields[b"n"]), wire.unpack(fields[b"e"])) for _, fields in entries]

    def _forget_older_attempts(self) -> None:
        newest = max((number for number, event in self._fetched if isinstance(event, Started)), default=0)
        while self._fetched and self._fetched[0][0] < newest:
            self._fetched.popleft()

    def _bear(self, error: Exception, wait: float) -> None:
        """Wait out an absence of the broker, within bounds."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since > self._patience:
            away = f"the broker has been away for {now - self._away_since:.0f} s"
            # Visitors read it: what the error says of the broker's address is for the log, where its traceback is.
            raise FarmUnavailable(f"{away} while task {self._task} was waited for") from error
        logger.debug("the broker is away while task %s is waited for: %s", self._task, error)
        threading.Event().wait(min(wait, RETRY_INTERVAL))

    def _pay(self) -> None:
        """Give the writer one credit for every so many yields. One that is not delivered is given with the next."""
        self._unpaid += 1
        if self._unpaid % YIELDS_PER_CREDIT:
            return
        key = self._keys.credit(self._task)
        tokens = [b"1"] * (self._unpaid // YIELDS_PER_CREDIT)
        try:
            with self._redis.pipeline() as pipe:
                pipe.lpush(key, *tokens)
                pipe.expire(key, ENDED)
                pipe.execute()
            self._unpaid = 0
        except AWAY as error:
            logger.debug("no credit could be given to the writer of task %s: %s", self._task, error)
