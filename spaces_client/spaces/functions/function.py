"""A decorated function: its name, duration and size."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from spaces.farm.size import Size
from spaces.farm.task import FunctionName
from spaces.functions.duration import Duration, seconds


class Kind(Enum):
    """How a function returns its values."""

    PLAIN = auto()
    GENERATOR = auto()
    COROUTINE = auto()
    ASYNC_GENERATOR = auto()


@dataclass(frozen=True, slots=True)
class GPUFunction:
    """The facts of a function that `@spaces.GPU` decorates."""

    name: FunctionName
    function: Callable[..., Any]
    duration: Duration
    size: Size
    kind: Kind
    carried: bool = False  #: decorated after the launch: it is sent with each call, see `sent_functions.py`

    @property
    def yields(self) -> bool:
        """Whether a call is a stream of values."""
        return self.kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR)

    @property
    def fixed_duration(self) -> float | None:
        """The seconds of every call; None if they depend on its arguments."""
        return None if callable(self.duration) else seconds(self.duration)

    @property
    def signature(self) -> inspect.Signature | None:
        """The function's parameters, if Python can find them."""
        try:
            return inspect.signature(self.function)
        except (TypeError, ValueError):
            return None


def gpu_function_of(value: object) -> GPUFunction | None:
    """The function that `@spaces.GPU` made `value` of; None if it did not make it.

    Other wrappers have the same attributes, because `functools.wraps` copies them.
    """
    found = getattr(value, "_gpu_function", None)
    is_its_wrapper = isinstance(found, GPUFunction) and getattr(value, "__wrapped__", None) is found.function
    return found if is_its_wrapper else None


#: Every decorated function of this process, by its name; filled while the Space's script runs.
functions: dict[FunctionName, GPUFunction] = {}
_decorations: Counter[tuple[str, str]] = Counter()
_complete = False


def complete() -> None:
    """Mark the list of functions as complete, at the launch: later ones exist in this process alone."""
    global _complete
    _complete = True


def register(function: Callable[..., Any], duration: Duration, size: Size) -> GPUFunction:
    """Name a function and register it, unless it is decorated after the launch.

    The name is equal in every process that runs the same script the same way: module, qualified name, and its ordinal
    among decorations of that name.
    """
    module = getattr(function, "__module__", None) or type(function).__module__
    qualname = getattr(function, "__qualname__", None) or type(function).__qualname__
    if _complete:
        return GPUFunction(FunctionName(module, qualname), function, duration, size, kind_of(function), carried=True)
    name = FunctionName(module, qualname, _decorations[module, qualname])
    _decorations[module, qualname] += 1
    functions[name] = GPUFunction(name, function, duration, size, kind_of(function))
    return functions[name]


def kind_of(function: Callable[..., Any]) -> Kind:
    """The kind of a function; looks through partials and callable objects.

    Wrappers are taken as they are: one may collect a generator's values, or run a coroutine to its end.
    """
    target: Any = function.func if type(function) is functools.partial else function
    if not inspect.isroutine(target):
        target = type(target).__call__
    if inspect.isasyncgenfunction(target):
        return Kind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(target):
        return Kind.COROUTINE
    return Kind.GENERATOR if inspect.isgeneratorfunction(target) else Kind.PLAIN
