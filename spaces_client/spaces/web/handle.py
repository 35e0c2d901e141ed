"""The caller's handle of a task: its result, yields and state, and its cancellation."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from spaces.errors import WaitTimeout
from spaces.farm.events import ChangedGlobals, End, Event, Progressed, Said, Started, Yielded, is_end
from spaces.state.stale import warn_of_missed
from spaces.web.waiting import Visitor, Wait
from spaces.web.waiting_room import room

if TYPE_CHECKING:
    from spaces.farm.payloads.payload import Payload
    from spaces.farm.queue.outlook import Place
    from spaces.farm.task import State, Task


class Events(Protocol):
    """The events of one task, for its reader."""

    def next_event(self, timeout: float | None) -> Event | None:
        """The next event, or None after `timeout` seconds without one."""

    async def next_event_async(self) -> Event | None:
        """The next event, for a coroutine."""


class Backend(Protocol):
    """The farm's operations that a handle needs."""

    def events(self, task: Task) -> Events: ...
    def cancel(self, task: Task, reason: str) -> None: ...
    def state(self, task: Task) -> State: ...
    def places(self, tasks: Sequence[Task]) -> list[Place | None]:
        """The places of tasks, in one request; None for a task that does not wait, or whose place is unknown."""

    def follow(self, handle: TaskHandle, task: Task) -> None:
        """Leave the task when its handle is gone."""

    def keep(self, task: Task) -> None:
        """Do not leave the task when its handle is gone, because another process may read it."""

    def leave(self, task: Task) -> None:
        """Nobody reads the task any more: discard its payloads, now or when it ends, unless its outcome was read."""

    def value(self, payload: Payload) -> Any: ...
    def discard(self, payload: Payload) -> None: ...
    def outcome(self, task: Task, end: End) -> Any:
        """The value that the task returned; raises the error of any other end."""


class TaskHandle:
    """A task that was submitted.

        handle = generate.submit("a cat")
        for image in handle: ...        # the values that the function yields
        handle.result(timeout=30)       # the value that it returns, or the error that it raised

    Only one thread at a time may read a handle. As a context manager it cancels its task if the block ends first.
    Values that were not read are discarded when the block ends, or when the handle is garbage.
    """

    def __init__(self, task: Task, backend: Backend, visitor: Visitor) -> None:
        self.task = task
        self._backend = backend
        self._visitor = visitor
        self._events = backend.events(task)
        self._reading = threading.Lock()
        self._wait = Wait(visitor)
        self._end: End | None = None
        self._is_detached = False
        backend.follow(self, task)
        if visitor.listens:
            room.enter(self._wait, task, backend)

    def __repr__(self) -> str:
        return f"<TaskHandle {self.task.label} {self.id}>"

    @property
    def id(self) -> str:
        """The task's id, as shown by `zerofarm status` and Flower."""
        return self.task.id

    @property
    def state(self) -> State:
        """The current state of the task."""
        return self._backend.state(self.task)

    @property
    def done(self) -> bool:
        """Whether the task has ended."""
        return self._end is not None or self.state.final

    @property
    def position(self) -> int | None:
        """How many tasks are ahead of this one in its queue; None if it does not wait."""
        return None if (place := self._place) is None else place.ahead

    @property
    def eta(self) -> float | None:
        """Expected seconds until the task begins; None if it does not wait, or no live worker can run it."""
        return None if (place := self._place) is None else place.seconds

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the function's return value; the values that a generator yields are skipped.

        Raises the function's own error, a TaskError if the task was stopped, and WaitTimeout after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._end is None:
            if (passed_over := self._next_value(deadline)) is not None:
                self._backend.discard(passed_over.value)
        return self._outcome

    @property
    def _place(self) -> Place | None:
        return self._backend.places([self.task])[0]

    def cancel(self, reason: str = "cancelled by its caller") -> None:
        """Stop the task: remove it from the queue, close its generator, or kill its process."""
        self._backend.cancel(self.task, reason)

    def detach(self) -> str:
        """Keep the task and its outcome when this handle, or this process, is gone. Returns its id for `Farm.task`."""
        self._is_detached = True
        self._backend.keep(self.task)
        return self.id

    def __iter__(self) -> Iterator[Any]:
        while (event := self._next_value(None)) is not None:
            yield self._backend.value(event.value)
        self.result()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._result_async().__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (event := await self._next_value_async()) is not None:
            yield await asyncio.to_thread(self._backend.value, event.value)
        await self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        room.leave(self._wait)
        try:
            if self._end is None and not self._is_detached:
                self.cancel("its caller left")
        finally:
            self._backend.leave(self.task)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        room.leave(self._wait)
        try:
            if self._end is None and not self._is_detached:
                await asyncio.to_thread(self.cancel, "its caller left")
        finally:
            self._backend.leave(self.task)

    @cached_property
    def _outcome(self) -> Any:
        if self._end is None:
            raise ValueError(f"{self.task.label} has not ended")
        return self._backend.outcome(self.task, self._end)

    async def _result_async(self) -> Any:
        while self._end is None:
            if (passed_over := await self._next_value_async()) is not None:
                await asyncio.to_thread(self._backend.discard, passed_over.value)
        return await asyncio.to_thread(self._outcome_for_coroutines)

    def _outcome_for_coroutines(self) -> Any:
        try:
            return self._outcome
        except StopIteration as error:  # a future refuses to hold one, and would never be done
            raise RuntimeError("coroutine raised StopIteration") from error

    def _next_value(self, deadline: float | None) -> Yielded | None:
        """The next yield, or None at the end; other events are passed on to the visitor."""
        with self._reading:
            while self._end is None:
                event = self._events.next_event(None if deadline is None else max(0.0, deadline - time.monotonic()))
                if event is None:
                    raise WaitTimeout(
                        f"{self.task.label} has not ended in time and still runs: call result() again, or cancel()"
                    )
                if (value := self._passed_on(event)) is not None:
                    return value
            return None

    async def _next_value_async(self) -> Yielded | None:
        while self._end is None:
            event = await self._events.next_event_async()
            if event is not None and (value := self._passed_on(event)) is not None:
                return value
        return None

    def _passed_on(self, event: Event) -> Yielded | None:
        match event:
            case Yielded():
                return event
            case Progressed() | Said():
                self._visitor.tell(event)
            case ChangedGlobals():
                warn_of_missed(self.task, event)
            case Started():
                self._wait.over()
            case _ if is_end(event):
                self._end = event
                room.leave(self._wait)
        return None
