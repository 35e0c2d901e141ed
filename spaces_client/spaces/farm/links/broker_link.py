"""A farm by the URL of its broker: for processes that may hold the broker's password."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

from redis import RedisError

from spaces.errors import FarmUnavailable
from spaces.farm.broker_errors import AWAY
from spaces.farm.celery.celery_app import make_celery, submit, submitting
from spaces.farm.connection import connect
from spaces.farm.links.client_lease import ClientLease
from spaces.farm.links.detached import keep_outcome, read_detached
from spaces.farm.payloads.broker_store import BrokerStore
from spaces.farm.payloads.payload import Payload
from spaces.farm.queue.control.rivals import announce
from spaces.farm.queue.keys import PAYLOAD
from spaces.farm.queue.outlook import Place
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.quota import Quota
from spaces.farm.queue.registry import Registry, SpaceRecord
from spaces.farm.queue.rules import Rules
from spaces.farm.stream.inbox import Inbox
from spaces.farm.stream.unread import payloads_of, unfollow
from spaces.farm.task import State, Task

if TYPE_CHECKING:
    from spaces.farm.stream.delivery import Delivery


class BrokerLink:
    """A link that speaks with the broker itself."""

    def __init__(self, url: str, host: str, drop: Callable[[Payload], None]) -> None:
        self.client = f"{host}:{uuid.uuid4().hex[:12]}"
        self._url = url
        self._redis = connect(url)
        self._queue = Queue(self._redis)
        self._registry = Registry(self._redis)
        self._celery = make_celery(url)
        self._inbox = Inbox(lambda: connect(url), drop=drop)
        self._lease: ClientLease | None = None

    @property
    def rules(self) -> Rules:
        return self._queue.rules

    def submitting(self, label: str) -> AbstractContextManager[None]:
        return submitting(self._celery, label)

    def begin_lease(self) -> None:
        self._lease = ClientLease(lambda: Queue(connect(self._url)), self.client)
        self._lease.start()

    def register(self, record: SpaceRecord, archive: bytes | None) -> SpaceRecord:
        announce(self._queue, record)
        self._registry.register(record, archive)
        return record

    def find(self, space: str) -> SpaceRecord:
        return self._registry.find(space)

    def submit(self, task: Task) -> Delivery:
        delivery = self._inbox.follow(task.id)
        try:
            submit(self._celery, replace(task, reader=self._inbox.name))
        except BaseException:
            self._inbox.forget(task.id)
            raise
        return delivery

    def join(self, task_id: str) -> tuple[Task, Delivery]:
        task = read_detached(self._queue, task_id)
        return task, self._inbox.join(task_id)

    def cancel(self, task_id: str, reason: str) -> None:
        self._queue.cancel(task_id, reason)

    def state(self, task_id: str) -> State | None:
        found = self._queue.state(task_id)
        return None if found is None else found.state

    def places(self, task_ids: Sequence[str]) -> list[Place | None]:
        try:
            return self._queue.outlook.places(task_ids)
        except AWAY:  # only a display; the events are still read
            return [None] * len(task_ids)

    def quota(self, visitor: str) -> Quota:
        return self._queue.ledger.standing(visitor).quota

    def hosts(self) -> set[str]:
        return {info["host"] for info in self._queue.leases.workers().values()}

    def far_store(self) -> BrokerStore:
        return BrokerStore(self._redis, PAYLOAD, self._queue.keys.blob)

    def unfollow(self, task: Task) -> Iterable[Payload]:
        try:
            return () if unfollow(self._queue, task.id) else list(payloads_of(self._queue, task))
        except (RedisError, OSError) as error:
            raise FarmUnavailable(f"the broker was not told that task {task.id} is left") from error

    def withdraw(self, task_id: str) -> None:
        try:
            self._queue.withdraw(task_id)
        except AWAY as error:
            raise FarmUnavailable(f"task {task_id} could not be withdrawn") from error

    def keep(self, task: Task) -> None:
        keep_outcome(self._queue, task)

    def leave(self, timeout: float) -> None:
        if self._lease is not None:
            self._lease.stop(timeout=timeout)

    def close(self) -> None:
        self._inbox.close()
        self._celery.close()
        self._redis.close()
