"""A farm inside the test's own process, for tests of Spaces: no broker, no worker, no GPU.

    with InMemoryFarm() as farm:
        from app import generate            # decorate within the farm
        assert generate(3).size == (256, 256)
        assert farm.tasks[0].label == "app.generate"

Calls run in threads, one after the other. Arguments and results pass the real codec, so a value that cannot be sent to
a worker fails here too. Time limits are recorded in `tasks` and not enforced, because a thread cannot be killed.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from spaces import config, role
from spaces.farm.events import Cancelled, End, Event, Succeeded, Yielded, is_end, payload_of, state_after
from spaces.farm.payloads.packer import Packer
from spaces.farm.payloads.payload import Payload
from spaces.farm.payloads.shared_memory import SharedMemoryStore
from spaces.farm.queue.outlook import Place
from spaces.farm.task import State, Task
from spaces.farm.values.codec import Codec
from spaces.farm.values.failure import describe
from spaces.functions.calls import call_to_end, within_task
from spaces.functions.function import GPUFunction
from spaces.functions.gradio_relay import relay
from spaces.role import Role
from spaces.web import client
from spaces.web.handle import TaskHandle
from spaces.web.outcome import outcome
from spaces.web.page import current_visitor
from spaces.web.summary import summary


class InMemoryFarm:
    """Replaces a farm within its block; functions that are decorated there submit their calls to it."""

    def __init__(self, space: str = "app") -> None:
        self.tasks: list[Task] = []  #: every task so far, in the order of submission
        self._space = space
        self._runs: dict[str, _Run] = {}
        self._turn = threading.Lock()
        self._left = ExitStack()
        here = config.current()
        self._packer = Packer(Codec(secrets.token_bytes(32)), SharedMemoryStore(here.run_dir, here.host))

    def __enter__(self) -> Self:
        self._left.enter_context(role.stand_in(Role.WEB))
        self._left.enter_context(config.stand_in(replace(config.current(), space=self._space)))
        self._left.enter_context(client.stand_in(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.close()
        for run in self._runs.values():
            run.closing = True
            run.thread.join()
            run.discard()

    def submit(
        self, function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any], time_limit: float
    ) -> TaskHandle:
        """Run a call in a thread. Raises EncodingError like the real farm."""
        task = Task(
            space=self._space,
            function=function.name,
            arguments=self._packer.pack_call(str(function.name), function.signature, args, kwargs),
            yields=function.yields,
            size=function.size,
            estimate=time_limit,
            time_limit=time_limit,
            summary=summary(args, kwargs),
        )
        self.tasks.append(task)
        self._runs[task.id] = _Run(task, function, self._packer, self._turn)
        return TaskHandle(task, self, current_visitor())

    def serve_space(self) -> None:
        """Do nothing: no worker needs the Space's record."""

    def quota(self) -> None:
        """Return None, no limit."""

    def events(self, task: Task) -> _Run:
        return self._runs[task.id]

    def cancel(self, task: Task, reason: str) -> None:
        self._runs[task.id].closing = True

    def state(self, task: Task) -> State:
        return self._runs[task.id].state

    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        waiting = [run.task.id for run in self._runs.values() if run.state is State.QUEUED]
        return [Place(waiting.index(task.id), len(waiting), None) if task.id in waiting else None for task in tasks]

    def follow(self, handle: TaskHandle, task: Task) -> None:
        """Do nothing: values that nobody reads are discarded at the end."""

    def keep(self, task: Task) -> None:
        """See `follow`."""

    def leave(self, task: Task) -> None:
        """See `follow`."""

    def value(self, payload: Payload) -> Any:
        return self._packer.take(payload)

    def discard(self, payload: Payload) -> None:
        self._packer.discard(payload)

    def outcome(self, task: Task, end: End) -> Any:
        self._packer.discard(task.arguments)
        return outcome(task, end, self._packer)


class _Run:
    """One task: a thread, and the stream of its events."""

    def __init__(self, task: Task, function: GPUFunction, packer: Packer, turn: threading.Lock) -> None:
        self.task = task
        self.state = State.QUEUED
        self.closing = False
        self._function = function
        self._packer = packer
        self._turn = turn
        self._events: queue.Queue[Event] = queue.Queue()
        self.thread = threading.Thread(target=self._run, name=task.label, daemon=True)
        self.thread.start()

    def next_event(self, timeout: float | None) -> Event | None:
        """The next event, or None after `timeout` seconds without one."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def discard(self) -> None:
        """Forget what it was given, and what nobody has read."""
        self._packer.discard(self.task.arguments)
        while not self._events.empty():
            if (payload := payload_of(self._events.get())) is not None:
                self._packer.discard(payload)

    async def next_event_async(self) -> Event | None:
        """The next event, for a coroutine."""
        return await asyncio.to_thread(self._events.get)

    def _run(self) -> None:
        within_task.set(True)
        with self._turn:
            self.state = State.RUNNING
            try:
                end = self._end()
            except BaseException as error:  # any exception ends this task alone
                end = describe(error, self._packer.codec)
            self._tell(end)

    def _end(self) -> End:
        args, kwargs = self._packer.unpack(self.task.arguments)
        relay(self._tell, (*args, *kwargs.values()))
        if not self.closing:
            value = call_to_end(self._function, args, kwargs, self._take)
            if not (self.closing and self._function.yields):
                return Succeeded(self._sent(value, "returned"))
        return Cancelled("its caller left")

    def _take(self, value: Any) -> bool:
        self._tell(Yielded(self._sent(value, "yielded")))
        return not self.closing

    def _sent(self, value: Any, verb: str) -> Payload:
        return self._packer.pack_result(str(self.task.function), value, verb)

    def _tell(self, event: Event) -> None:
        if is_end(event):
            self.state = state_after(event)
        self._events.put(event)
