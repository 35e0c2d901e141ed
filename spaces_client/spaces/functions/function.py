"""A decorated function: its name and what it asks for."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from spaces.farm.task import FunctionName, Size
from spaces.functions.duration import Duration, seconds


class Kind(Enum):
    """How a function hands out what it makes."""

    PLAIN = auto()
    GENERATOR = auto()
    COROUTINE = auto()
    ASYNC_GENERATOR = auto()


@dataclass(frozen=True, slots=True)
class GPUFunction:
    """What `@spaces.GPU` knows of the function that it decorates."""

    name: FunctionName
    function: Callable[..., Any]
    duration: Duration
    size: Size
    kind: Kind
    carried: bool = False  #: decorated after the launch: it travels with each call, see `spaces.functions.carried`

    @property
    def yields(self) -> bool:
        """Whether a call is a stream of values."""
        return self.kind in (Kind.GENERATOR, Kind.ASYNC_GENERATOR)

    @property
    def fixed_duration(self) -> float | None:
        """Seconds that every call gets; None when they depend on its arguments."""
        return None if callable(self.duration) else seconds(self.duration)

    @property
    def signature(self) -> inspect.Signature | None:
        """The parameters by name, where Python can tell them."""
        try:
            return inspect.signature(self.function)
        except (TypeError, ValueError):
            return None


#: Every decorated function of this process, by its name; filled while the Space's script runs.
functions: dict[FunctionName, GPUFunction] = {}
_decorations: Counter[tuple[str, str]] = Counter()
_complete = False


def complete() -> None:
    """The web process launches: every process of the Space has the functions that are decorated now, and no others."""
    global _complete
    _complete = True


def register(function: Callable[..., Any], duration: Duration, size: Size) -> GPUFunction:
    """Name a function and remember it, unless it is decorated after the launch.

    The name is the same in every process that runs the same script the same way: module, qualified name, and the
    how-manieth decoration of that name it is.
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
    """Which kind of function this is, looking through partials and callable objects.

    Not through wrappers: one may collect what a generator yields, or run a coroutine to its end.
    """
    target: Any = function.func if type(function) is functools.partial else function
    if not inspect.isroutine(target):
        target = type(target).__call__
    if inspect.isasyncgenfunction(target):
        return Kind.ASYNC_GENERATOR
    if inspect.iscoroutinefunction(target):
        return Kind.COROUTINE
    return Kind.GENERATOR if inspect.isgeneratorfunction(target) else Kind.PLAIN
