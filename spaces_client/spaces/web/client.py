"""The web process's way into the farm: makes tasks of calls, and values of what comes back.

One client for each process, made at its first call. Its lease tells the farm that somebody still waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from spaces import config, emulation
from spaces.config import Config, Role
from spaces.errors import RefusedError, SpacesError
from spaces.farm.events import End
from spaces.farm.queue.registry import ImportCall
from spaces.farm.task import State, Task
from spaces.functions.carried import Carried
from spaces.functions.function import complete, functions
from spaces.space import space_codec, space_files, space_name, space_source
from spaces.web.handle import TaskHandle
from spaces.web.identity import current_identity
from spaces.web.outcome import outcome
from spaces.web.page import current_visitor
from spaces.web.recorded import RecordedHandle
from spaces.web.summary import summary

if TYPE_CHECKING:
    from spaces.farm.payloads.payload import Payload
    from spaces.farm.queue.outlook import Place
    from spaces.farm.queue.quota import Quota
    from spaces.farm.queue.registry import SpaceRecord
    from spaces.farm.stream.delivery import Delivery
    from spaces.farm.values.codec import Codec
    from spaces.functions.function import GPUFunction
    from spaces.state.outgoing import Outgoing


class FarmConnection:
    """A connection to one farm: submits tasks, follows and stops them. `Farm` and `FarmClient` each have one."""

    def __init__(self, here: Config, codec: Codec) -> None:
        from spaces.farm.celery.celery_app import make_celery
        from spaces.farm.connection import connect
        from spaces.farm.payloads.broker_store import BrokerStore
        from spaces.farm.payloads.nearest import NearestStore
        from spaces.farm.payloads.packer import Packer
        from spaces.farm.payloads.shared_memory import SharedMemoryStore
        from spaces.farm.queue.keys import WAITING
        from spaces.farm.queue.queue import Queue
        from spaces.farm.queue.registry import Registry
        from spaces.farm.stream.inbox import Inbox

        self.redis = connect(here.url)
        self._inbox = Inbox(lambda: connect(here.url))
        self._deliveries: dict[str, Delivery] = {}  #: of tasks that were submitted and have no handle yet
        self.queue = Queue(self.redis)
        self.registry = Registry(self.redis)
        self._celery = make_celery(here.url)
        memory = SharedMemoryStore(here.run_dir, here.host)
        broker = BrokerStore(self.redis, WAITING, self.queue.keys.blob)
        store = NearestStore(here.host, memory, broker, self._hosts)
        self.packer = Packer(codec, store, files=space_files(), far=lambda: not store.near)

    def submit(self, task: Task) -> None:
        """Queue a task. Raises FarmUnavailable, RefusedError; then nothing was queued."""
        from spaces.farm.celery.celery_app import submit

        self._deliveries[task.id] = self._inbox.follow(task.id)
        try:
            submit(self._celery, replace(task, reader=self._inbox.name))
        except BaseException:
            self.packer.discard(task.arguments)
            self._inbox.forget(self._deliveries.pop(task.id).task)
            raise

    def submitting(self, label: str) -> AbstractContextManager[None]:
        """Within this, a broker that does not answer whatever must be asked of it first is a FarmUnavailable."""
        from spaces.farm.celery.celery_app import submitting

        return submitting(self._celery, label)

    def events(self, task: Task) -> Delivery:
        return self._deliveries.pop(task.id)

    def cancel(self, task: Task, reason: str) -> None:
        self.queue.cancel(task.id, reason)

    def state(self, task: Task) -> State:
        state = self.queue.state(task.id)
        if state is None:
            raise RefusedError(f"the farm does not know task {task.id}; what has ended is forgotten after an hour")
        return state.state

    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        from spaces.farm.broker_errors import AWAY

        try:
            return self.queue.outlook.places([task.id for task in tasks])
        except AWAY:  # it is only told to people, and the events are read on
            return [None] * len(tasks)

    def value(self, payload: Payload) -> Any:
        return self.packer.take(payload)

    def discard(self, payload: Payload) -> None:
        self.packer.discard(payload)

    def outcome(self, task: Task, end: End) -> Any:
        self.packer.discard(task.arguments)
        return outcome(task, end, self.packer)

    def _hosts(self) -> set[str]:
        """Where the live workers are."""
        return {info["host"] for info in self.queue.leases.workers().values()}

    def close(self) -> None:
        """Close the connections; tasks that were submitted go on."""
        self._inbox.close()
        self._celery.close()
        self.redis.close()


class FarmClient:
    """This process, as the web process of a Space."""

    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._client = f"{settings.host}:{uuid.uuid4().hex[:12]}"
        self._calls: list[ImportCall] = []  #: what came of the calls before the launch
        self._record: SpaceRecord | None = None
        self._launched = False
        self._globals: Outgoing | None = None  #: from the launch on

    @cached_property
    def _farm(self) -> FarmConnection:
        from spaces.farm.connection import connect
        from spaces.farm.queue.queue import Queue
        from spaces.web.client_lease import ClientLease

        farm = FarmConnection(self._settings, space_codec())
        ClientLease(lambda: Queue(connect(self._settings.url)), self._client).start()
        return farm

    @cached_property
    def _digest(self) -> str:
        """Of the Space's files as they are before its script writes any."""
        return space_source().digest()

    def serve_space(self) -> None:
        """Tell the farm of this Space, so that workers can make its zygote; called where the script launches, once.

        From here on the web process needs no weights, and globals that it changes travel with its calls.
        """
        from spaces.state.of_space import space_globals
        from spaces.state.outgoing import Outgoing

        if self._launched:
            return
        self._register()
        self._launched = True
        complete()
        space_codec().freeze_references()
        emulation.drop_weights()
        self._globals = self._globals or Outgoing(space_globals(), space_codec())

    def _register(self) -> SpaceRecord:
        """Tell the farm what it must know to make a zygote of the script as far as it has run."""
        from spaces.farm.queue.registry import ARCHIVE_LIMIT_BYTES, FunctionRecord, record_of

        known = [FunctionRecord(each.name, each.fixed_duration, each.size, each.yields) for each in functions.values()]
        source = space_source()
        here, calls = self._settings.host, tuple(self._calls)
        self._record = record_of(space_name(), source, self._digest, here, known, calls, self._client)
        try:
            archive = source.archive(ARCHIVE_LIMIT_BYTES)
        except RefusedError:
            archive = None  # too large to travel: workers of other hosts will say so if one is asked
        self._farm.registry.register(self._record, archive)
        return self._record

    def quota(self) -> Quota | None:
        """What the visitor whom this thread serves has left; None with quotas off."""
        visitor = self._visitor
        return self._farm.queue.ledger.standing(visitor).quota if visitor else None

    @property
    def _visitor(self) -> str:
        return current_identity(self._farm.queue.rules.quota, space_name())

    def submit(
        self, function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any], time_limit: float
    ) -> TaskHandle:
        """Queue a call of a function of this Space. Raises FarmUnavailable, RefusedError; then nothing was queued."""
        farm = self._farm
        with farm.submitting(f"{space_name()}.{function.name}"):
            task = self._task(function, args, kwargs, time_limit)
            farm.submit(task)
        if self._launched:
            return TaskHandle(task, farm, current_visitor())
        return RecordedHandle(task, farm, current_visitor(), space_codec(), self._calls.append)

    def _task(self, function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any], time_limit: float) -> Task:
        more: list[object] = [self._globals.packed()] if self._globals else []
        if function.carried:
            more.append(Carried.of(function.function))
        visitor = self._visitor  # before the arguments are written anywhere: it may fail
        record = self._record if self._launched and self._record else self._register()
        return Task(
            space=record.name,
            function=function.name,
            arguments=self._farm.packer.pack_call(str(function.name), function.signature, args, kwargs, *more),
            revision=record.revision,
            yields=function.yields,
            size=function.size,
            estimate=time_limit,
            time_limit=time_limit,
            summary=summary(args, kwargs),
            client=self._client,
            host=self._settings.host,
            visitor=visitor,
        )


_stand_in: Any = None  # Any: whatever a test puts in place of a FarmClient


@contextmanager
def stand_in(client: Any) -> Iterator[None]:
    """Within this, tasks of this process go to `client`; see `spaces.testing`."""
    global _stand_in
    before, _stand_in = _stand_in, client
    try:
        yield
    finally:
        _stand_in = before


@cache
def _client_of_process() -> FarmClient:
    return FarmClient(config.current())


def current_client() -> Any:  # Any: a FarmClient, or the stand-in of a test
    """The client of this process. Raises SpacesError where nothing can be submitted."""
    if _stand_in is not None:
        return _stand_in
    role = config.current().role
    if role is Role.WORKER:
        raise SpacesError("submit() is for the web process: inside a GPU function, call the function itself")
    if role is Role.NONE:
        raise SpacesError(f"no farm is configured: set {config.URL}, or start the Space by `zerofarm up`")
    return _client_of_process()
