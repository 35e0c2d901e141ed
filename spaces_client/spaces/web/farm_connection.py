"""A connection to a farm, for submitting tasks: from a page of a Space, or a program without a copy of the Space."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from spaces.config import Config
from spaces.errors import RefusedError
from spaces.farm import wire
from spaces.farm.events import End
from spaces.farm.task import State, Task
from spaces.farm.units import seconds_in_words
from spaces.farm.version import VERSION
from spaces.space import space_files
from spaces.web.outcome import outcome

if TYPE_CHECKING:
    from redis.client import Pipeline

    from spaces.farm.payloads.payload import Payload
    from spaces.farm.queue.outlook import Place
    from spaces.farm.queue.registry import FunctionRecord, SpaceRecord
    from spaces.farm.stream.delivery import Delivery
    from spaces.farm.values.codec import Codec
    from spaces.functions.function import GPUFunction
    from spaces.web.handle import TaskHandle


class FarmConnection:
    """A connection to one farm: submits tasks, follows and stops them. `Farm` and `FarmClient` each have one."""

    def __init__(self, here: Config, codec: Codec) -> None:
        from spaces.farm.celery.celery_app import make_celery
        from spaces.farm.connection import connect
        from spaces.farm.payloads.broker_store import BrokerStore
        from spaces.farm.payloads.nearest import NearestStore
        from spaces.farm.payloads.packer import Packer
        from spaces.farm.payloads.shared_memory import SharedMemoryStore
        from spaces.farm.queue import settings
        from spaces.farm.queue.keys import PAYLOAD
        from spaces.farm.queue.queue import Queue
        from spaces.farm.queue.registry import Registry
        from spaces.farm.stream.inbox import Inbox
        from spaces.web.leftovers import Leftovers

        self._host = here.host
        self.redis = connect(here.url)
        self._deliveries: dict[str, Delivery] = {}  #: of tasks that are submitted and have no handle yet
        self.queue = Queue(self.redis)
        self.registry = Registry(self.redis)
        self._celery = make_celery(here.url)
        # A program of root reads what Spaces with users of their own have written.
        owners = () if os.getuid() else settings.current().isolation.users
        memory = SharedMemoryStore(here.run_dir, here.host, owners=owners)
        broker = BrokerStore(self.redis, PAYLOAD, self.queue.keys.blob)
        store = NearestStore(here.host, memory, broker, self._hosts)
        self.packer = Packer(codec, store, files=space_files(), far=lambda: not store.near)
        self._leftovers = Leftovers(self.queue, self.packer)
        self._inbox = Inbox(lambda: connect(here.url), drop=self._leftovers.drop)

    def task(
        self,
        record: SpaceRecord,
        function: GPUFunction | FunctionRecord,
        arguments: Payload,
        *,
        time_limit: float,
        summary: str,
        visitor: str,
        client: str = "",
    ) -> Task:
        """Make the task of a call. It is cancelled if its `client`, a process, dies."""
        return Task(
            space=record.name,
            function=function.name,
            arguments=arguments,
            revision=record.revision,
            yields=function.yields,
            size=function.size,
            estimate=time_limit,
            time_limit=time_limit,
            summary=summary if self.queue.rules.privacy.arguments else "",
            client=client,
            host=self._host,
            visitor=visitor,
            version=VERSION,
        )

    def submit(self, task: Task) -> None:
        """Queue a task. Raises FarmUnavailable, RefusedError; then nothing was queued."""
        from spaces.farm.celery.celery_app import submit

        self._deliveries[task.id] = self._inbox.follow(task.id)
        try:
            submit(self._celery, replace(task, reader=self._inbox.name))
        except BaseException as error:
            self.packer.discard(task.arguments)
            self._inbox.forget(self._deliveries.pop(task.id).task)
            if not isinstance(error, RefusedError):  # the broker may have executed the push, or do so later
                self._leftovers.withdraw(task)
            raise

    def join(self, task_id: str) -> Task:
        """A task that was submitted before, perhaps by another process; its events are delivered here from now on.

        Raises RefusedError for a task that is unknown, or whose outcome was discarded because nobody kept it.
        """
        from spaces.farm.queue.claiming import read_task

        name = self.queue.keys.task(task_id)
        state, packed = cast("list[bytes | None]", self.redis.hmget(name, "state", "task"))
        if state is None:
            raise self._unknown(task_id)
        if packed is None:
            raise RefusedError(
                f"task {task_id} has ended, and its outcome belongs to the program that submitted it: call "
                "handle.detach() there to read it elsewhere"
            )
        self._deliveries[task_id] = self._inbox.join(task_id)
        return read_task(packed)

    def submitting(self, label: str) -> AbstractContextManager[None]:
        """Within this, errors of a broker that does not answer become FarmUnavailable."""
        from spaces.farm.celery.celery_app import submitting

        return submitting(self._celery, label)

    def events(self, task: Task) -> Delivery:
        return self._deliveries.pop(task.id)

    def cancel(self, task: Task, reason: str) -> None:
        self.queue.cancel(task.id, reason)

    def state(self, task: Task) -> State:
        state = self.queue.state(task.id)
        if state is None:
            raise self._unknown(task.id)
        return state.state

    def _unknown(self, task_id: str) -> RefusedError:
        kept = seconds_in_words(self.queue.rules.limits.outcome_lifetime)
        return RefusedError(f"the farm does not know task {task_id}: a task is forgotten {kept} after its end")

    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        from spaces.farm.broker_errors import AWAY

        try:
            return self.queue.outlook.places([task.id for task in tasks])
        except AWAY:  # only a display; the events are still read
            return [None] * len(tasks)

    def value(self, payload: Payload) -> Any:
        return self.packer.take(payload)

    def discard(self, payload: Payload) -> None:
        self.packer.discard(payload)

    def follow(self, handle: TaskHandle, task: Task) -> None:
        self._leftovers.follow(handle, task)

    def keep(self, task: Task) -> None:
        self._leftovers.keep(task)
        name = self.queue.keys.task(task.id)

        def mark(pipe: Pipeline) -> None:
            if pipe.exists(name):
                pipe.multi()
                pipe.hset(name, mapping={"detached": 1, "task": wire.pack(task)})

        self.redis.transaction(mark, name)

    def leave(self, task: Task) -> None:
        self._leftovers.leave(task)

    def outcome(self, task: Task, end: End) -> Any:
        self._leftovers.read(task)
        self.packer.discard(task.arguments)
        return outcome(task, end, self.packer)

    def _hosts(self) -> set[str]:
        """The hosts of the live workers."""
        return {info["host"] for info in self.queue.leases.workers().values()}

    def close(self) -> None:
        """Close the connections. Submitted tasks continue; their outcomes can no longer be read."""
        self._leftovers.close()
        self._inbox.close()
        self._celery.close()
        self.redis.close()
