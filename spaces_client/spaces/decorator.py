"""The decorator `@spaces.GPU`, in every form that Spaces use. Without a farm it has no effect.

In the web process of a farm a call becomes a task; in a worker's child it is a plain call.
"""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Mapping, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar, overload

from spaces import config
from spaces.config import Config, Role
from spaces.errors import DefinitionError, RefusedError
from spaces.farm.task import Size
from spaces.farm.values.glance import glance, is_a
from spaces.functions import replay
from spaces.functions.duration import (
    DEFAULT_DURATION,
    Duration,
    check_duration,
    check_gpus,
    check_size,
)
from spaces.functions.duration_of_call import check_duration_takes, duration_of_call
from spaces.functions.function import GPUFunction, Kind, register
from spaces.functions.local_handle import give_submit
from spaces.web.page import shown_to_visitor

if TYPE_CHECKING:
    from spaces.web.handle import TaskHandle

F = TypeVar("F", bound="Callable[..., Any] | staticmethod[..., Any] | classmethod[Any, ..., Any]")

_METHODS = (staticmethod, classmethod)

#: Existing wrappers by the identity of the function, so that decorating twice has the effect of once.
_wrappers: dict[int, tuple[Callable[..., Any], Callable[..., Any]]] = {}


@overload
def GPU(task: F, /) -> F: ...
@overload
def GPU(
    task: Duration | str = ..., duration: Duration = ..., *, size: str = ..., gpus: int = ..., **options: Any
) -> Callable[[F], F]: ...
def GPU(
    task: Any = None,  # Any: a function, a duration or a size, as real Spaces pass it
    duration: Duration = DEFAULT_DURATION,
    *,
    size: str = Size.LARGE,
    gpus: int = 1,
    **options: Any,
) -> Any:
    """Give a function a GPU while it runs.

    `duration` is the time limit in seconds (a number, a `timedelta`, or a callable given the same arguments as the
    function) and ranks the call while it waits: ask for little, wait little. `size` is "large" (half an H200) or
    "xlarge" (a whole one); `gpus` can only be 1 so far. Old and unknown options are warned about and ignored.

        @spaces.GPU
        def draw(prompt): ...

        @spaces.GPU(duration=lambda prompt, steps: 5 + steps)
        def draw(prompt, steps): ...

    The decorated function also has `submit(*args, **kwargs)`, which returns a `TaskHandle` at once.
    Raises DefinitionError for a duration that is not positive, a size that does not exist, or several GPUs.
    """
    if is_a(task, str):
        size = task
    elif not _is_function(task) and task is not None:
        duration = task
    decorate = _decorator(duration, size, gpus, options)
    return decorate(task) if _is_function(task) else decorate


def _is_function(task: object) -> bool:
    return callable(task) or is_a(task, _METHODS)


def _decorator(duration: Duration, size: str, gpus: int, options: dict[str, Any]) -> Callable[[F], F]:
    if config.current().role is Role.NONE:
        return _with_submit
    _warn_of(options)
    check_duration(duration)
    check_gpus(gpus)
    checked_size = check_size(size)

    def decorate(function: F) -> F:
        method: Any = function  # Any: a static or class method, perhaps
        if issubclass(type(method), _METHODS):
            return type(method)(decorate(method.__func__))  # type: ignore[no-any-return] # of the same type
        if not callable(function):
            raise DefinitionError(f"@spaces.GPU decorates functions, got {glance(function)}")
        if getattr(function, "__name__", "") == "__init__":
            return function  # each process makes its own object, on emulated CUDA; a sent one would stay empty
        known = _wrappers.get(id(function))
        if known is not None:
            return known[1]  # type: ignore[return-value] # it wraps this very function
        check_duration_takes(duration, function)
        registered = register(function, duration, checked_size)
        wrapper = _wrap(registered)
        if not registered.carried:
            # The pair keeps the function alive, so that no other function gets its identity.
            _wrappers[id(function)] = _wrappers[id(wrapper)] = (function, wrapper)
        return wrapper  # type: ignore[return-value] # called like the function

    return decorate


def _with_submit(function: F) -> F:
    """The function itself: without a farm its calls are plain, and those of `submit` run in threads."""
    target: Any = function  # Any: a static or class method, perhaps
    give_submit(target.__func__ if is_a(function, _METHODS) else target)
    return function


def _warn_of(options: dict[str, Any]) -> None:
    if "enable_queue" in options:
        warnings.warn("`enable_queue` parameter is now ignored and always set to `True`", stacklevel=4)
    for name in options.keys() - {"enable_queue"}:
        warnings.warn(f"@spaces.GPU has no option {name!r}; it is ignored", stacklevel=4)


def _wrap(function: GPUFunction) -> Callable[..., Any]:
    faces = _INLINE if config.current().role is Role.WORKER else _FACES
    wrapper: Any = functools.update_wrapper(faces[function.kind](function), function.function)
    wrapper.__annotations__ = getattr(
        function.function, "__annotations__", {}
    )  # a partial has none, and must not get ours
    wrapper._gpu_function = function
    wrapper.zerogpu = None  # Gradio removes this name from the configuration of its events
    wrapper.submit = lambda *args, **kwargs: _submit(function, args, kwargs)
    return wrapper  # type: ignore[no-any-return] # called like the function


def _submit(function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskHandle:
    """Queue one call. Raises EncodingError, before the task is queued, for an argument that cannot be sent."""
    from spaces.web.client import current_client

    time_limit = duration_of_call(function.duration, function.function, args, kwargs)
    handle: TaskHandle = current_client().submit(function, args, kwargs, time_limit)
    return handle


def _plain_face(function: GPUFunction) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with shown_to_visitor(), _submit(function, args, kwargs) as handle:
            return handle.result()

    return call


def _generator_face(function: GPUFunction) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with shown_to_visitor(), _submit(function, args, kwargs) as handle:
            for value in handle:
                _refuse_sent((yield value), handle)
            return handle.result()

    return call


def _coroutine_face(function: GPUFunction) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with shown_to_visitor():
            async with await asyncio.to_thread(_submit, function, args, kwargs) as handle:
                return await handle

    return call


def _async_generator_face(function: GPUFunction) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
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

_auto_wrap = Config.gradio_auto_wrap


def gradio_auto_wrap(function: Any) -> Any:
    """Decorate a Gradio event's function if `enable_gradio_auto_wrap` was called; Gradio calls this."""
    return GPU(function) if _auto_wrap and callable(function) else function


def without_thread(function: Any) -> Any:
    """A GPU function for Gradio's queue: its calls wait as coroutines and occupy no thread.

    Any other function is returned unchanged.
    """
    if isinstance(function, functools.partial):
        return functools.partial(without_thread(function.func), *function.args, **function.keywords)
    if isinstance(function, MethodType):
        return MethodType(without_thread(function.__func__), function.__self__)
    registered = getattr(function, "_gpu_function", None)
    if not isinstance(registered, GPUFunction) or registered.kind not in _WAITING:
        return function
    return functools.update_wrapper(_WAITING[registered.kind](registered), function)


def enable_gradio_auto_wrap() -> None:
    """Treat every event function of Gradio as decorated with `@spaces.GPU`."""
    global _auto_wrap
    _auto_wrap = True


def disable_gradio_auto_wrap() -> None:
    """Undo `enable_gradio_auto_wrap`."""
    global _auto_wrap
    _auto_wrap = False
