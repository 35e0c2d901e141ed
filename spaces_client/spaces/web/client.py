"""The web process as a client of the farm: registers its Space, and makes tasks of its calls.

Each process has one client, made at its first call. Its lease shows the farm that the process still waits.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from spaces import config, emulation, role
from spaces.config import Config
from spaces.errors import RefusedError, SpacesError
from spaces.farm.payloads import old_files
from spaces.farm.queue.registry import ImportCall
from spaces.farm.task import Task
from spaces.functions.function import complete, functions
from spaces.functions.sent_functions import Carried
from spaces.role import URL, Role
from spaces.space import space_codec, space_name, space_source
from spaces.web.farm_connection import FarmConnection
from spaces.web.handle import TaskHandle
from spaces.web.identity import current_identity
from spaces.web.page import current_visitor
from spaces.web.recorded_handle import RecordedHandle
from spaces.web.summary import summary

if TYPE_CHECKING:
    from spaces.farm.queue.quota import Quota
    from spaces.farm.queue.registry import SpaceRecord
    from spaces.farm.queue.rules import Rules
    from spaces.functions.function import GPUFunction
    from spaces.state.outgoing import Outgoing


#: Seconds that the end of a process waits for the farm to hear of it.
LEAVING_PATIENCE = 1.0


class FarmClient:
    """This process, as the web process of a Space."""

    def __init__(self, settings: Config) -> None:
        self._settings = settings
        self._calls: list[ImportCall] = []  #: recorded results of the calls before the launch
        self._record: SpaceRecord | None = None
        self._launched = False
        self._globals: Outgoing | None = None  #: set at the launch

    @cached_property
    def _farm(self) -> FarmConnection:
        farm = FarmConnection(self._settings, space_codec())
        farm.link.begin_lease()
        atexit.register(self.leave)  # after the connection's own, and so called before it
        return farm

    def leave(self) -> None:
        """This process ends: the tasks that it waits for are cancelled, and nothing of them is kept."""
        if "_farm" in self.__dict__:
            self._farm.link.leave(LEAVING_PATIENCE)
            self._farm.close()

    @cached_property
    def _digest(self) -> str:
        """The digest of the Space's files, before its script writes any."""
        return space_source().digest()

    def serve_space(self) -> None:
        """Register this Space, so that workers can make its zygote. Called once, when the script launches.

        Afterwards the web process needs no weights, and globals that it changes are sent with its calls.
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
        """Register the facts for a zygote of the script as far as it has run."""
        from spaces.farm.queue.registry import ARCHIVE_LIMIT_BYTES, FunctionRecord, record_of

        known = [FunctionRecord(each.name, each.fixed_duration, each.size, each.yields) for each in functions.values()]
        source = space_source()
        here, calls = self._settings.host, tuple(self._calls)
        link = self._farm.link
        record = record_of(space_name(), source, self._digest, here, known, calls, link.client)
        try:
            archive = source.archive(ARCHIVE_LIMIT_BYTES)
        except RefusedError:
            archive = None  # too large to send: a worker of another host refuses its tasks with that reason
        self._record = link.register(record, archive)
        return self._record

    def quota(self) -> Quota | None:
        """The quota of the visitor whom this thread serves; None with quotas off."""
        visitor = self._visitor
        return self._farm.link.quota(visitor) if visitor else None

    @property
    def rules(self) -> Rules:
        """The rules of the farm, as far as a page needs them."""
        return self._farm.link.rules

    @property
    def _visitor(self) -> str:
        return current_identity(self.rules.quota, space_name())

    def submit(
        self, function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any], time_limit: float
    ) -> TaskHandle:
        """Queue a call of a function of this Space. Raises FarmUnavailable, RefusedError; then nothing was queued."""
        farm = self._farm
        with farm.submitting(f"{space_name()}.{function.name}"):
            task = self._task(function, args, kwargs, time_limit)
            farm.submit(task)
        if not self._launched:
            return RecordedHandle(task, farm, current_visitor(), space_codec(), self._calls.append)
        handle = TaskHandle(task, farm, current_visitor())
        old_files.hold(handle, (args, kwargs))
        return handle

    def _task(self, function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any], time_limit: float) -> Task:
        began = time.monotonic()
        more: list[object] = [self._globals.packed()] if self._globals else []
        if function.carried:
            more.append(Carried.of(function.function))
        visitor = self._visitor  # before the arguments are stored, because it may fail
        record = self._record if self._launched and self._record else self._register()
        return self._farm.task(
            record,
            function,
            self._farm.packer.pack_call(str(function.name), function.signature, args, kwargs, *more),
            time_limit=time_limit,
            summary=summary(args, kwargs),
            visitor=visitor,
            began=began,
            client=self._farm.link.client,
        )


_stand_in: Any = None  # Any: a test's replacement for a FarmClient


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


def leave() -> None:
    """This process ends, by a signal that does not let it end in its own way."""
    if _client_of_process.cache_info().currsize:
        _client_of_process().leave()


def current_client() -> Any:  # Any: a FarmClient, or the stand-in of a test
    """The client of this process. Raises SpacesError if this process cannot submit tasks."""
    if _stand_in is not None:
        return _stand_in
    if role.current() is Role.WORKER:
        raise SpacesError("submit() is for the web process: inside a GPU function, call the function itself")
    if role.current() is Role.NONE:
        raise SpacesError(f"no farm is configured: set {URL}, or start the Space with `zerofarm up`")
    return _client_of_process()
