"""`Farm`: call a farm's Spaces without a copy of them, from a script, an API or another front end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from spaces import config
from spaces.config import Config
from spaces.errors import SpaceChanged
from spaces.farm.links.gateway_address import is_gateway
from spaces.farm.links.token import Token
from spaces.farm.payloads.run_dir_of_farm import with_run_dir
from spaces.farm.task import Task
from spaces.functions.duration import DEFAULT_DURATION, Seconds, seconds
from spaces.web.farm_connection import FarmConnection
from spaces.web.handle import TaskHandle
from spaces.web.identity import current_identity
from spaces.web.known_spaces import KnownSpaces
from spaces.web.page import current_visitor
from spaces.web.summary import summary

if TYPE_CHECKING:
    from spaces.farm.payloads.space_files import SpaceFiles
    from spaces.farm.queue.registry import SpaceRecord


class Farm:
    """A farm by the URL of its broker, or by the address of its gateway and a token.

        with spaces.Farm("redis://:password@broker:6379/0") as farm:
            images = farm.submit("digits", "generate", 7, steps=20).result()

        with spaces.Farm("gateway://farm.example:7870", token="zf_...") as farm:  # of `zerofarm token new`
            images = farm.submit("digits", "generate", 7, steps=20).result()

    Where they are not given, `$ZEROFARM_URL` and `$ZEROFARM_TOKEN` are taken. A token is for one Space.

    Plain data, arrays, images and tensors can be sent; other objects need the Space's key (`space_key`, hexadecimal),
    because its holders can execute code. Tasks continue after the process that submitted them ends.
    """

    def __init__(self, url: str = "", space_key: str = "", *, token: str = "") -> None:
        from spaces.farm.values.codec import Codec

        here = config.current()
        address = url or here.url
        there, files = _nearby(replace(here, url=address, token=token or (here.token if is_gateway(address) else "")))
        key = bytes.fromhex(space_key) or (Token.of(there.token).space_key if there.token else b"")
        self._farm = FarmConnection(there, Codec(key), files)
        self._spaces = KnownSpaces(self._farm.link.find)

    def submit(
        self, space: str, function: str, /, *args: Any, duration: Seconds | None = None, **kwargs: Any
    ) -> TaskHandle:
        """Queue a call of a Space's GPU function, named as in `zerofarm status`.

        `duration` overrides the time limit; a callable duration can be computed only in its Space, so here such a
        function gets 60 s. If the function itself has a parameter `duration`, call it with `Farm.function`. Raises
        RefusedError for a Space or a function that the farm does not know, and FarmUnavailable.
        """
        return self.function(space, function, duration).submit(*args, **kwargs)

    def task(self, task_id: str) -> TaskHandle:
        """The handle of a task that this farm knows, by its id: of this program before its restart, or of another.

            task_id = farm.submit("digits", "generate", 7).detach()     # stored, before the program ends
            images = farm.task(task_id).result()                        # in the next one

        The values of a generator come again from the first, if none was read yet; an outcome is read once, then it is
        a BlobGone. Only one handle gets the events of a task: the last. One that reads nothing leaves all to the next.
        Raises RefusedError for a task that is unknown, or was not detached.
        """
        with self._farm.submitting(task_id):
            handle = TaskHandle(self._farm.join(task_id), self._farm, current_visitor())
            handle.detach()
        return handle

    def function(self, space: str, function: str, duration: Seconds | None = None) -> FarmFunction:
        """A Space's GPU function, all of whose parameters may be given by keyword.

        farm.function("digits", "generate", duration=30).submit(7, duration="long").result()
        """
        return FarmFunction(self, space, function, duration)

    def _submit(
        self, space: str, function: str, duration: Seconds | None, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TaskHandle:
        make = partial(self._task, function, args, kwargs, duration)
        with self._farm.submitting(f"{space}.{function}"):
            task = self._submitted_as_known(space, function, make)
            if task is None:
                task = make(self._spaces.latest(space))
                self._farm.submit(task)
        return TaskHandle(task, self._farm, current_visitor())

    def _submitted_as_known(self, space: str, function: str, make: Callable[..., Task]) -> Task | None:
        """The task, queued by the kept record of the Space; None if no record is kept, or the Space has changed."""
        record = self._spaces.kept(space, function)
        if record is None:
            return None
        task = make(record, only_latest=True)
        with suppress(SpaceChanged):
            self._farm.submit(task)
            return task
        return None

    def _task(
        self,
        function: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        duration: Seconds | None,
        record: SpaceRecord,
        only_latest: bool = False,
    ) -> Task:
        began = time.monotonic()
        wanted = record.function(function)
        time_limit = seconds(duration if duration is not None else wanted.duration or DEFAULT_DURATION)
        return self._farm.task(
            record,
            wanted,
            self._farm.packer.pack_call(function, None, args, kwargs),
            time_limit=time_limit,
            summary=summary(args, kwargs),
            visitor=current_identity(self._farm.link.rules.quota),
            began=began,
            only_latest=only_latest,
        )

    def close(self) -> None:
        """Close the connections. Tasks that were submitted go on; what they say can no longer be read."""
        self._farm.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _nearby(here: Config) -> tuple[Config, SpaceFiles | None]:
    """The configuration that shares memory with workers of this host, and the files that their Spaces do not see.

    A broker that is away is not waited for.
    """
    if is_gateway(here.url):
        return here, None
    from spaces.farm.broker_errors import AWAY
    from spaces.farm.connection import connect
    from spaces.farm.payloads.space_files import NamedFiles
    from spaces.farm.queue.queue import Queue

    with connect(here.url, retry=None, socket_connect_timeout=1.0, socket_timeout=1.0) as redis, suppress(*AWAY):
        workers = Queue(redis).leases.workers().values()
        there = with_run_dir(here, workers)
        separated = any(each["host"] == there.host and each.get("separated") for each in workers)
        return there, NamedFiles() if separated else None
    return here, None


@dataclass(frozen=True, slots=True)
class FarmFunction:
    """One GPU function of one Space of a farm; `Farm.function` makes it."""

    _farm: Farm
    _space: str
    _function: str
    _duration: Seconds | None

    def submit(self, /, *args: Any, **kwargs: Any) -> TaskHandle:
        """Queue a call. Raises RefusedError for a Space or a function that the farm does not know, FarmUnavailable."""
        return self._farm._submit(self._space, self._function, self._duration, args, kwargs)
