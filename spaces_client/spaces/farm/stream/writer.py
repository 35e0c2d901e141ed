"""Writes a task's events, for the worker: each once, in order, and through outages of the broker.

The reader of a stream gives credit for the yields that it consumes. A writer that is WINDOW yields ahead of its reader
waits for credit, so that a generator never runs far ahead of its visitor.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from redis import RedisError

from spaces.errors import RemoteError, SpacesError
from spaces.farm import wire
from spaces.farm.broker_errors import AWAY, REFUSES
from spaces.farm.events import End, Event, Failed, Yielded
from spaces.farm.queue.claiming import Reply
from spaces.farm.queue.keys import YIELDS_PER_CREDIT
from spaces.farm.queue.queue import Ended, Queue
from spaces.farm.task import Lease
from spaces.farm.texts import cut

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Yields that a reader may lag behind before its writer waits.
WINDOW = 4 * YIELDS_PER_CREDIT

#: Longest single wait for credit; after each the writer checks whether it was stopped or lost its lease.
SLICE = 1.0

#: Seconds between two attempts to reach the broker while it is away.
RETRY_INTERVAL = 0.2

#: What the end of a task outlasts: a broker that is away, and a process that has no file descriptor to spare.
PASSES = (*AWAY, OSError)

#: The smallest `proto-max-bulk-len` of a broker; smaller events are never too large.
LARGE_BYTES = 1024 * 1024

#: Times that a broker may break the connection at large events, and answer otherwise, until they are given up.
MOST_REFUSALS = 3


class EventRefused(SpacesError):
    """The broker answers, but does not accept an event: it is larger than a string may be there."""


class EventWriter:
    """Writes for one lease. One thread calls `write` and `end`; any thread may call `stop`."""

    def __init__(self, queue: Queue, lease: Lease) -> None:
        self._queue = queue
        self._lease = lease
        self._batch = 0
        self._outstanding = 0
        self._stopped = threading.Event()

    def write(self, events: Sequence[Event]) -> bool:
        """Append events; waits while the reader is too far behind. Raises LeaseLost.

        False once stopped: then nothing was written, and nobody will read the payloads of these events.
        """
        self._batch += 1
        if not self._append(events, self._batch):
            return False
        self._outstanding += sum(isinstance(event, Yielded) for event in events)
        while self._outstanding >= WINDOW and not self._stopped.is_set():
            self._wait_for_credit()
        return True

    def end(self, end: End, held: float = 0.0, swap: float | None = None) -> Ended:
        """End the task, even if stopped, and through outages; for `held` and `swap` see `Queue.end`.

        An end that cannot be packed, or that the broker does not accept, is replaced by a failure that says so.
        """
        return self._ended(end, lambda end: self._queue.end(self._lease, end, held, swap))

    def end_and_claim(
        self, end: End, held: float, swap: float | None, claim: Sequence[str | bytes | float]
    ) -> tuple[Ended, Reply]:
        """`end`, and claim in the same step, see `Queue.end_and_claim`."""
        return self._ended(end, lambda end: self._queue.end_and_claim(self._lease, end, held, swap, claim))

    def _ended(self, end: End, write: Callable[[End], T]) -> T:
        patience = _Patience(end)
        while True:
            try:
                return write(end)
            except PASSES as error:
                self._outlast(error)
                if not patience.is_over(error, self._queue.redis):
                    continue
                reason: Exception = error
            except Exception as error:  # a value of another library in a field, a script that the broker cannot run
                if patience.exhausted:
                    raise
                reason = error
            patience.exhausted = True
            end = _in_our_words(end, reason)

    def retry(self, end: End) -> Ended:
        """Let the task, which could not begin, be tried again, or end it so if no attempt is left; through outages."""
        while True:
            try:
                return self._queue.retry(self._lease, end)
            except PASSES as error:
                self._outlast(error)

    @property
    def room(self) -> int:
        """The yields that may be written now, at least one."""
        return WINDOW - self._outstanding if self._outstanding < WINDOW else 1

    def pause(self, seconds: float) -> None:
        """Wait, unless stopped."""
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """Make `write` return, even while it waits."""
        self._stopped.set()

    def _append(self, events: Sequence[Event], batch: int = 0) -> bool:
        """Whether it was done before the writer was stopped."""
        patience = _Patience(*events)
        while not self._stopped.is_set():
            try:
                tokens = self._queue.append(self._lease, events, batch)
            except AWAY as error:
                self._bear(error)
                if patience.is_over(error, self._queue.redis):
                    raise EventRefused(f"an event is too large for the broker: {error}") from error
            else:
                self._credit(tokens)
                return True
        return False

    def _wait_for_credit(self) -> None:
        try:
            if self._queue.redis.blpop([self._queue.keys.credit(self._lease.task.id)], SLICE):
                self._credit(1)
            else:
                self._append([])  # writes nothing, but raises LeaseLost
        except AWAY as error:
            self._bear(error)

    def _credit(self, tokens: int) -> None:
        self._outstanding = max(0, self._outstanding - tokens * YIELDS_PER_CREDIT)

    def _bear(self, error: Exception) -> None:
        """Wait before another attempt, unless stopped."""
        self._note(error)
        self._stopped.wait(RETRY_INTERVAL)

    def _outlast(self, error: Exception) -> None:
        """Wait before another attempt, also if stopped: a task's end is written in any case."""
        self._note(error)
        time.sleep(RETRY_INTERVAL)

    def _note(self, error: Exception) -> None:
        logger.debug("the broker is away while task %s writes: %s", self._lease.task.id, error)


class _Patience:
    """How often events are sent to a broker that breaks the connection at them, while it answers otherwise.

    A broker that is sent more than `proto-max-bulk-len` says nothing else, and looks as if it were away.
    """

    def __init__(self, *events: Event) -> None:
        self._events = events
        self._refusals = 0
        self.exhausted = False

    def is_over(self, error: Exception, redis: Redis) -> bool:
        if self.exhausted or isinstance(error, (*REFUSES, OSError)) or not self._are_large():
            return False
        self._refusals += _answers(redis)
        return self._refusals >= MOST_REFUSALS

    def _are_large(self) -> bool:
        return sum(len(wire.pack(event)) for event in self._events) >= LARGE_BYTES


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisError:
        return False


def _in_our_words(end: End, reason: Exception) -> Failed:
    text = f"the function ended, but how it ended ({type(end).__name__}) could not be told: {reason}"
    return Failed(f"{RemoteError.__module__}.{RemoteError.__qualname__}", cut(text), "")
