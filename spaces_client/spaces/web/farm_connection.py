"""A connection to a farm, for submitting tasks: from a page of a Space, or a program without a copy of the Space."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from spaces.config import Config
from spaces.errors import RefusedError
from spaces.farm.events import End
from spaces.farm.links.link import link_to
from spaces.farm.task import State, Task, unknown_task
from spaces.farm.traces import task_traces
from spaces.farm.version import VERSION
from spaces.space import space_files
from spaces.web.leftovers import Leftovers
from spaces.web.outcome import outcome

if TYPE_CHECKING:
    from spaces.farm.payloads.payload import Payload
    from spaces.farm.payloads.space_files import SpaceFiles
    from spaces.farm.queue.outlook import Place
    from spaces.farm.queue.registry import FunctionRecord, SpaceRecord
    from spaces.farm.stream.delivery import Delivery
    from spaces.farm.values.codec import Codec
    from spaces.functions.function import GPUFunction
    from spaces.web.handle import TaskHandle


class FarmConnection:
    """A connection to one farm: submits tasks, follows and stops them. `Farm` and `FarmClient` each have one.

    `files` are sent with calls even to workers of this host, whose Spaces see others at the same paths.
    """

    def __init__(self, here: Config, codec: Codec, files: SpaceFiles | None = None) -> None:
        from spaces.farm.payloads.nearest import NearestStore
        from spaces.farm.payloads.packer import Packer
        from spaces.farm.payloads.shared_memory import SharedMemoryStore
        from spaces.farm.queue import settings

        self._host = here.host
        self._deliveries: dict[str, Delivery] = {}  #: of tasks that are submitted and have no handle yet
        self._leftovers = Leftovers()
        self.link = link_to(here.url, here.host, self._leftovers.drop, here.token)
        # A program of root reads what Spaces with users of their own have written.
        owners = () if os.getuid() else settings.current().isolation.users
        memory = SharedMemoryStore(here.run_dir, here.host, owners=owners)
        store = NearestStore(here.host, memory, self.link.far_store(), self.link.hosts)
        always = files is not None
        self.packer = Packer(codec, store, files=files or space_files(), far=lambda: always or not store.near)
        self._leftovers.serve(self.link, self.packer)

    def task(
        self,
        record: SpaceRecord,
        function: GPUFunction | FunctionRecord,
        arguments: Payload,
        *,
        time_limit: float,
        summary: str,
        visitor: str,
        began: float,
        client: str = "",
        only_latest: bool = False,
    ) -> Task:
        """Make the task of a call. It is cancelled if its `client`, a process, dies.

        `began` is when the function was called, on the monotonic clock.
        """
        return Task(
            space=record.name,
            function=function.name,
            arguments=arguments,
            revision=record.revision,
            yields=function.yields,
            size=function.size,
            estimate=time_limit,
            time_limit=time_limit,
            summary=summary if self.link.rules.privacy.arguments else "",
            client=client,
            host=self._host,
            visitor=visitor,
            version=VERSION,
            traceparent=task_traces.callers_span(),
            prepared=time.monotonic() - began,
            only_latest=only_latest,
        )

    def submit(self, task: Task) -> None:
        """Queue a task. Raises FarmUnavailable, RefusedError; then nothing was queued."""
        try:
            self._deliveries[task.id] = self.link.submit(task)
        except BaseException as error:
            self.packer.discard(task.arguments)
            if not isinstance(error, RefusedError):  # the broker may have executed the push, or do so later
                self._leftovers.withdraw(task)
            raise

    def join(self, task_id: str) -> Task:
        """A task that was submitted before, perhaps by another process; its events are delivered here from now on.

        Raises RefusedError for a task that is unknown, or whose outcome was discarded because nobody kept it.
        """
        task, self._deliveries[task_id] = self.link.join(task_id)
        return task

    def submitting(self, label: str) -> AbstractContextManager[None]:
        """Within this, errors of a farm that does not answer become FarmUnavailable."""
        return self.link.submitting(label)

    def events(self, task: Task) -> Delivery:
        return self._deliveries.pop(task.id)

    def cancel(self, task: Task, reason: str) -> None:
        self.link.cancel(task.id, reason)

    def state(self, task: Task) -> State:
        state = self.link.state(task.id)
        if state is None:
            raise unknown_task(task.id, self.link.rules.limits.outcome_lifetime)
        return state

    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        return self.link.places([task.id for task in tasks])

    def value(self, payload: Payload) -> Any:
        return self.packer.take(payload)

    def discard(self, payload: Payload) -> None:
        self.packer.discard(payload)

    def follow(self, handle: TaskHandle, task: Task) -> None:
        self._leftovers.follow(handle, task)

    def keep(self, task: Task) -> None:
        self._leftovers.keep(task)
        self.link.keep(task)

    def leave(self, task: Task) -> None:
        self._leftovers.leave(task)

    def outcome(self, task: Task, end: End) -> Any:
        self._leftovers.read(task)
        self.packer.discard(task.arguments)
        return outcome(task, end, self.packer)

    def close(self) -> None:
        """Close the connections. Submitted tasks continue; their outcomes can no longer be read."""
        self._leftovers.close()
        self.link.close()
