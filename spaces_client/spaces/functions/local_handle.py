"""`submit` without a farm: the call runs in a thread of this process, behind a handle like that of a farm's task."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from spaces.errors import TaskCancelled, WaitTimeout
from spaces.farm.size import Size
from spaces.farm.task import FunctionName, State
from spaces.functions.calls import call_to_end
from spaces.functions.function import GPUFunction, kind_of

_END = object()


class LocalHandle:
    """A call that runs in a thread, with the interface of `spaces.TaskHandle`; its values are the function's own."""

    position = None  #: it never waits
    eta = None

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.id = uuid.uuid4().hex
        self._label = getattr(function, "__qualname__", type(function).__qualname__)
        name = FunctionName(getattr(function, "__module__", None) or "__main__", self._label)
        self._function = GPUFunction(name, function, None, Size.LARGE, kind_of(function))
        self._values: SimpleQueue[Any] = SimpleQueue()  # Any, here and below: the values of a function
        self._outcome: Future[Any] = Future()
        self._ending = threading.Lock()
        self._cancelled = False
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run, args, kwargs), name=self._label, daemon=True).start()

    def __repr__(self) -> str:
        return f"<LocalHandle {self._label} {self.id}>"

    @property
    def state(self) -> State:
        """The current state of the call."""
        if not self._outcome.done():
            return State.RUNNING
        if self._cancelled:
            return State.CANCELLED
        return State.FAILED if self._outcome.exception() else State.SUCCEEDED

    @property
    def done(self) -> bool:
        """Whether the call has ended."""
        return self._outcome.done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the return value. Raises the function's own error, TaskCancelled, and WaitTimeout."""
        try:
            return self._outcome.result(timeout)
        except TimeoutError:
            if self._outcome.done():
                raise  # the function's own
            raise WaitTimeout(f"{self._label} has not ended in time and still runs: call result() again") from None

    def cancel(self, reason: str = "cancelled by its caller") -> None:
        """End the call for its caller, and close a generator at its next value: a thread cannot be stopped."""
        with self._ending:
            if not self._outcome.done():
                self._cancelled = True
                self._outcome.set_exception(TaskCancelled(f"{self._label} was cancelled: {reason}"))
        self._values.put(_END)

    def __iter__(self) -> Iterator[Any]:
        while (value := self._values.get()) is not _END:
            yield value
        self._values.put(_END)
        self.result()

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.to_thread(self._result_of_coroutine).__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (value := await asyncio.to_thread(self._values.get)) is not _END:
            yield value
        self._values.put(_END)
        await self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel("its caller left")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel("its caller left")

    def _run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        try:
            value = call_to_end(self._function, args, kwargs, self._take)
        except BaseException as error:  # it ends this call alone
            failure = error
            self._end(lambda: self._outcome.set_exception(failure))
        else:
            self._end(lambda: self._outcome.set_result(value))

    def _take(self, value: Any) -> bool:
        self._values.put(value)
        return not self._cancelled

    def _end(self, tell: Callable[[], None]) -> None:
        with self._ending:
            if not self._outcome.done():
                tell()
        self._values.put(_END)

    def _result_of_coroutine(self) -> Any:
        try:
            return self.result()
        except StopIteration as error:  # a future refuses to hold one, and would never be done
            raise RuntimeError("coroutine raised StopIteration") from error
