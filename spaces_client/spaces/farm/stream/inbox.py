"""Reads the events of all tasks of a process, over one connection and on one thread for all callers.

The broker publishes each event to the inbox that the task names as its reader, and keeps it in the task's stream. The
inbox reads streams only if it may have missed events: after a reconnect, and of tasks that are silent for long.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, TypeVar, cast

from redis import Redis, RedisError
from redis.client import PubSub

from spaces.errors import FarmUnavailable, RefusedError, TaskLost
from spaces.farm import wire
from spaces.farm.broker_errors import AWAY
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue import settings
from spaces.farm.queue.keys import CREDIT, TAKES_SEVERAL, Keys
from spaces.farm.queue.scripts import Scripts
from spaces.farm.stream.delivery import Delivery
from spaces.farm.stream.entries import entry_of, events_of
from spaces.farm.subscription import Subscription

logger = logging.getLogger(__name__)

D = TypeVar("D", bound=Delivery)

#: Seconds of silence after which the inbox asks the broker whether it missed events of a task.
SILENCE = 5.0

#: Longest single wait for a message; then the inbox checks silent tasks.
SLICE = 1.0

#: Seconds between two attempts to reach the broker while it is away.
RETRY_INTERVAL = 0.2

#: Seconds that the broker may be away before callers get an error.
PATIENCE = 60.0


class Inbox:
    """Delivers the events of the tasks that name it as their reader; `drop` takes values that no reader gets.

    inbox = Inbox(lambda: connect(url))
    delivery = inbox.follow(task.id)        # before the task is pushed with reader=inbox.name
    delivery.next_event(timeout=10.0)
    """

    #: Entries of a stream that are fetched at once, and tasks that are checked at once.
    fetch, batch = 100, 200

    def __init__(
        self,
        connect: Callable[[], Redis],
        keys: Keys | None = None,
        patience: float = PATIENCE,
        drop: Callable[[Payload], None] = lambda _: None,
    ) -> None:
        self.name = uuid.uuid4().hex + TAKES_SEVERAL
        self._connect = connect
        self._keys = keys or Keys()
        self._patience = patience
        self._drop = drop
        self._lock = threading.Lock()
        self._deliveries: dict[str, Delivery] = {}
        self._away_since: float | None = None
        self._asked = threading.Event()  #: there are tasks to follow
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._replies = ThreadPoolExecutor(max_workers=1, thread_name_prefix="zerofarm-credit")

    def follow(self, task: str) -> Delivery:
        """Deliver the events of a task that is about to be pushed."""
        return self._watched(Delivery(task, partial(self._pay, task), self._drop))

    def _watched(self, delivery: D) -> D:
        with self._lock:
            self._deliveries[delivery.task] = delivery
            self._asked.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="zerofarm-inbox", daemon=True)
                self._thread.start()
        return delivery

    def join(self, task: str) -> Delivery:
        """Deliver the events of a task that was pushed before, from its first event on. Raises redis's errors."""
        delivery = Delivery(task, partial(self._pay, task), self._drop)
        return self._joined(delivery)

    def _joined(self, delivery: D) -> D:
        """Deliver the events of a task that was pushed before: those to come, and those that are in its stream already.

        In this order: what is published before the broker knows this reader is in the stream when that is read.
        """
        self._scripts.run("follow", self._keys.task(delivery.task), self.name)
        delivery.is_behind = True
        self._watched(delivery)
        self._redis.publish(self._keys.inbox(self.name), b"")
        return delivery

    def forget(self, task: str) -> None:
        """Deliver no more events of a task."""
        with self._lock:
            self._deliveries.pop(task, None)

    def close(self) -> None:
        """Stop reading. Tasks continue."""
        self._closing.set()
        self._asked.set()
        self._replies.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _redis(self) -> Redis:
        """The connection for everything but the subscription."""
        return self._connect()

    @cached_property
    def _scripts(self) -> Scripts:
        return Scripts(self._redis, self._keys, settings.current().limits.outcome_lifetime)

    # --- the thread of the inbox

    def _run(self) -> None:
        while not self._closing.is_set():
            self._asked.wait()
            try:
                with self._connect() as redis, Subscription(redis.connection_pool) as subscription:
                    subscription.subscribe(self._keys.inbox(self.name))
                    self._listen(subscription)
            except (RedisError, OSError) as error:
                self._bear(error)
            except Exception:
                logger.exception("the inbox could not read a message of the broker; it subscribes again")
                self._closing.wait(RETRY_INTERVAL)
            self._rest()

    def _rest(self) -> None:
        """Connect again only when somebody waits for a task."""
        with self._lock:
            if not self._deliveries and not self._closing.is_set():
                self._asked.clear()

    def _listen(self, subscription: PubSub) -> None:
        looked_at = time.monotonic()
        while not self._closing.is_set():
            response = _next_word(subscription)
            match response:
                case [b"subscribe", *_]:
                    self._catch_up_with_all()
                case [b"message", _, bytes() as data]:
                    self._receive(data)
            if time.monotonic() - looked_at >= SLICE:
                looked_at = time.monotonic()
                if self._has_missed():
                    return  # the subscription may be dead without an error

    def _receive(self, data: bytes) -> None:
        """Deliver events as lib.lua publishes them: task, entry of the last, attempt, one packed event or several."""
        if not data:
            self._catch_up([each for each in self._current() if each.is_behind])
            return
        task, entry, attempt, packed = data.split(b" ", 3)
        delivery = self._deliveries.get(task.decode())
        if delivery is None:
            return
        if delivery.is_behind:
            self._catch_up([delivery])
        else:
            self._put(delivery, entry, attempt, packed)

    def _put(self, delivery: Delivery, entry: bytes, attempt: bytes, packed: bytes) -> None:
        """Deliver events. The task's reader hears of one that cannot be read; those of other tasks do not."""
        try:
            events = events_of(delivery.task, packed)
        except (wire.BadMessage, RefusedError) as error:
            delivery.last = entry_of(entry)
            delivery.fail(TaskLost(f"an event of task {delivery.task} cannot be read: {error}"))
            self.forget(delivery.task)
            return
        if delivery.put(entry_of(entry), int(attempt), events):
            self.forget(delivery.task)

    def _catch_up_with_all(self) -> None:
        if self._away_since is not None:
            logger.warning("the broker answers again")
            self._away_since = None
        self._catch_up(self._current())

    def _catch_up(self, deliveries: Sequence[Delivery]) -> None:
        """Read the streams of tasks, each from the last delivered entry on."""
        for batch in _batches(deliveries, self.batch):
            for delivery in batch:
                delivery.is_behind = True
            self._read(batch)

    def _read(self, batch: Iterable[Delivery]) -> None:
        behind = list(batch)
        while behind:
            with self._redis.pipeline(transaction=False) as pipe:
                for delivery in behind:
                    after = f"({delivery.last[0]}-{delivery.last[1]}"
                    pipe.xrange(self._keys.events(delivery.task), min=after, count=self.fetch)
                found = cast("list[list[tuple[bytes, dict[bytes, bytes]]]]", pipe.execute())
            for delivery, entries in zip(behind, found, strict=True):
                for entry, fields in entries:
                    self._put(delivery, entry, fields[b"n"], fields[b"e"])
                delivery.is_behind = len(entries) == self.fetch
            behind = [delivery for delivery in behind if delivery.is_behind]

    def _has_missed(self) -> bool:
        """Check the tasks that have been silent for long. Returns whether an event of one was not delivered."""
        now = time.monotonic()
        silent = {each.task: each for each in self._current() if now - each.heard_at >= SILENCE}
        missed = False
        for batch in _batches(list(silent.values()), self.batch):
            known = [text for each in batch for text in (each.task, f"{each.last[0]}-{each.last[1]}")]
            behind, unknown = self._scripts.run("missed", self._keys.workers(), *known)
            for task in unknown:
                self._lose(task.decode())
            self._catch_up([silent[task.decode()] for task in behind])
            missed = missed or bool(behind)
            for delivery in batch:
                delivery.heard_at = now
        return missed

    def _lose(self, task: str) -> None:
        delivery = self._deliveries.get(task)
        self.forget(task)
        if delivery is not None:
            text = "it was lost, or ended so long ago that its outcome is no longer kept"
            delivery.fail(TaskLost(f"task {task} is unknown to the broker: {text}"))

    def _bear(self, error: Exception) -> None:
        """Wait while the broker is away. Callers get an error if that lasts longer than `patience` seconds."""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            logger.warning("the broker does not answer; the inbox tries again: %s", error)
        away = now - self._away_since
        if away > self._patience:
            for delivery in self._current():
                # Visitors read this message; only the log may show the broker's address, which `error` has.
                told = FarmUnavailable(
                    f"the broker has been away for {away:.0f} s while the result of task {delivery.task} was awaited"
                )
                told.__cause__ = error
                delivery.fail(told)
            self._away_since = now
        self._closing.wait(min(RETRY_INTERVAL, self._patience))

    def _current(self) -> list[Delivery]:
        with self._lock:
            return list(self._deliveries.values())

    # --- credit for the writers of streams

    def _pay(self, task: str, tokens: int) -> None:
        self._replies.submit(self._send_credit, task, tokens)

    def _send_credit(self, task: str, tokens: int) -> None:
        key = self._keys.credit(task)
        while not self._closing.is_set():
            try:
                with self._redis.pipeline() as pipe:
                    pipe.lpush(key, *[b"1"] * tokens)
                    pipe.expire(key, CREDIT)
                    pipe.execute()
                return
            except AWAY as error:
                logger.debug("the credit for the writer of task %s is sent later: %s", task, error)
                self._closing.wait(RETRY_INTERVAL)
            except RedisError as error:
                logger.warning("the credit for the writer of task %s is not sent: %s", task, error)
                return


def _next_word(subscription: PubSub) -> Any:  # Any: what redis-py answers
    """The next message as the broker sent it: redis-py's `get_message` takes twice the time."""
    return subscription.parse_response(block=False, timeout=SLICE)  # type: ignore[no-untyped-call]


def _batches(deliveries: Sequence[Delivery], size: int) -> Iterator[Sequence[Delivery]]:
    for start in range(0, len(deliveries), size):
        yield deliveries[start : start + size]
