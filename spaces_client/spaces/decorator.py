"""The decorator `@spaces.GPU`, in every form that Spaces use. Without a farm it has no effect.

In the web process of a farm a call becomes a task; in a worker's child it is a plain call.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, overload

from spaces import role
from spaces.errors import DefinitionError
from spaces.farm.values.glance import glance, is_a
from spaces.functions.duration import (
    DEFAULT_DURATION,
    Duration,
    check_duration,
    check_gpus,
    check_size,
)
from spaces.functions.local_submit import give_submit
from spaces.role import Role

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
    size: str = "",
    gpus: int = 1,
    **options: Any,
) -> Any:
    """Give a function a GPU while it runs.

    `duration` is the time limit in seconds (a number, a `timedelta`, or a callable given the same arguments as the
    function) and ranks the call while it waits: ask for little, wait little. `size` is "large" (half an H200) or
    "xlarge" (a whole one), by default as the operator says for the Space, or "large"; `gpus` can only be 1 so far.
    Old and unknown options are warned about and ignored.

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
    if role.current() is Role.NONE:
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
        # Only here, so that `import spaces` without a farm takes no longer than it must.
        from spaces.faces import wrapped
        from spaces.functions.duration_of_call import check_duration_takes
        from spaces.functions.function import register

        check_duration_takes(duration, function)
        registered = register(function, duration, checked_size)
        wrapper = wrapped(registered)
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


_auto_wrap: bool | None = None  # until it is set: as the environment says


def gradio_auto_wrap(function: Any) -> Any:
    """Decorate a Gradio event's function if `enable_gradio_auto_wrap` was called; Gradio calls this."""
    return GPU(function) if _wraps_automatically() and callable(function) else function


def _wraps_automatically() -> bool:
    if _auto_wrap is not None:
        return _auto_wrap
    # Only here, so that `import spaces` without a farm takes no longer than it must.
    from spaces.config import Config

    return Config.gradio_auto_wrap


def enable_gradio_auto_wrap() -> None:
    """Treat every event function of Gradio as decorated with `@spaces.GPU`."""
    global _auto_wrap
    _auto_wrap = True


def disable_gradio_auto_wrap() -> None:
    """Undo `enable_gradio_auto_wrap`."""
    global _auto_wrap
    _auto_wrap = False
