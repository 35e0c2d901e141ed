"""The functions that take the place of decorated ones: a call becomes a task, or within a task a plain call."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any

from spaces import role
from spaces.errors import RefusedError
from spaces.functions import replay
from spaces.functions.calls import within_task
from spaces.functions.duration_of_call import duration_of_call
from spaces.functions.function import GPUFunction, Kind, gpu_function_of
from spaces.role import Role
from spaces.web.page import shown_to_visitor

if TYPE_CHECKING:
    from spaces.web.handle import TaskHandle


def wrapped(function: GPUFunction) -> Callable[..., Any]:
    """The replacement of a decorated function in this process."""
    faces = _INLINE if role.current() is Role.WORKER else _FACES
    wrapper: Any = functools.update_wrapper(faces[function.kind](function), function.function)
    wrapper.__annotations__ = getattr(
        function.function, "__annotations__", {}
    )  # a partial has none, and must not get ours
    if function.signature is not None:
        wrapper.__signature__ = function.signature  # `inspect.getfullargspec`, which Gradio uses, finds no other
    wrapper._gpu_function = function
    wrapper.zerogpu = None  # Gradio removes this name from the configuration of its events
    wrapper.submit = lambda *args, **kwargs: _submit(function, args, kwargs)
    return wrapper  # type: ignore[no-any-return] # called like the function


def without_thread(function: Any) -> Any:
    """A GPU function for Gradio's queue: its calls wait as coroutines and occupy no thread.

    Any other function is returned unchanged.
    """
    if isinstance(function, functools.partial):
        return functools.partial(without_thread(function.func), *function.args, **function.keywords)
    if isinstance(function, MethodType):
        return MethodType(without_thread(function.__func__), function.__self__)
    registered = gpu_function_of(function)
    if registered is None or registered.kind not in _WAITING:
        return function
    return functools.update_wrapper(_WAITING[registered.kind](registered), function)


def _submit(function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskHandle:
    """Queue one call. Raises EncodingError, before the task is queued, for an argument that cannot be sent."""
    from spaces.web.client import current_client

    time_limit = duration_of_call(function.duration, function.function, args, kwargs)
    handle: TaskHandle = current_client().submit(function, args, kwargs, time_limit)
    return handle


def _plain_face(function: GPUFunction) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if within_task.get():
            return function.function(*args, **kwargs)
        with shown_to_visitor(), _submit(function, args, kwargs) as handle:
            return handle.result()

    return call


def _generator_face(function: GPUFunction) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if within_task.get():
            return (yield from function.function(*args, **kwargs))
        with shown_to_visitor(), _submit(function, args, kwargs) as handle:
            for value in handle:
                _refuse_sent((yield value), handle)
            return handle.result()

    return call


def _coroutine_face(function: GPUFunction) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        if within_task.get():
            return await function.function(*args, **kwargs)
        with shown_to_visitor():
            async with await asyncio.to_thread(_submit, function, args, kwargs) as handle:
                return await handle

    return call


def _async_generator_face(function: GPUFunction) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        if within_task.get():
            async for value in function.function(*args, **kwargs):
                yield value
            return
        with shown_to_visitor():
            async with await asyncio.to_thread(_submit, function, args, kwargs) as handle:
                async for value in handle:
                    _refuse_sent((yield value), handle)

    return call


def _refuse_sent(value: object, handle: TaskHandle) -> None:
    if value is not None:
        raise RefusedError(f"{handle.task.label} runs in another process, so send() cannot pass a value into it")


def _inline_plain(function: GPUFunction) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if replay.importing():
            return replay.value(function.name)
        return function.function(*args, **kwargs)

    return call


def _inline_generator(function: GPUFunction) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if replay.importing():
            return (yield from replay.stream(function.name))
        return (yield from function.function(*args, **kwargs))

    return call


def _inline_coroutine(function: GPUFunction) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        if replay.importing():
            return replay.value(function.name)
        return await function.function(*args, **kwargs)

    return call


def _inline_async_generator(function: GPUFunction) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        if replay.importing():
            for recorded in replay.stream(function.name):
                yield recorded
            return
        async for value in function.function(*args, **kwargs):
            yield value

    return call


Faces = dict[Kind, Callable[[GPUFunction], Callable[..., Any]]]

#: In the web process a call becomes a task; each kind of function keeps its kind.
_FACES: Faces = {
    Kind.PLAIN: _plain_face,
    Kind.GENERATOR: _generator_face,
    Kind.COROUTINE: _coroutine_face,
    Kind.ASYNC_GENERATOR: _async_generator_face,
}

#: The same for Gradio's queue, whose coroutines may wait without a thread.
_WAITING: Faces = {Kind.PLAIN: _coroutine_face, Kind.GENERATOR: _async_generator_face}

#: In a worker this process has the GPU: every call, even a nested one, is a plain call.
_INLINE: Faces = {
    Kind.PLAIN: _inline_plain,
    Kind.GENERATOR: _inline_generator,
    Kind.COROUTINE: _inline_coroutine,
    Kind.ASYNC_GENERATOR: _inline_async_generator,
}
