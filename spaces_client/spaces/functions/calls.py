"""Calls a function of any kind: passes on its yields one by one and returns its return value."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from contextvars import ContextVar
from typing import Any

from spaces.functions.function import GPUFunction, Kind

#: Gets each yield of a function; returns whether the function may continue.
Take = Callable[[Any], bool]

#: Whether this thread runs a task in a process that also submits tasks, as `spaces.testing` does.
within_task: ContextVar[bool] = ContextVar("within_task", default=False)


def call_to_end(function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any], take: Take) -> Any:
    """Call a function to its end, or until `take` returns False; then its generator is closed, and None is returned.

    Raises the function's own exception, even StopIteration.
    """
    call = function.function
    match function.kind:
        case Kind.PLAIN:
            value = call(*args, **kwargs)
            return asyncio.run(value) if inspect.iscoroutine(value) else value
        case Kind.GENERATOR:
            return _exhaust(call(*args, **kwargs), take)
        case Kind.COROUTINE:
            return asyncio.run(call(*args, **kwargs))
        case Kind.ASYNC_GENERATOR:
            return _exhaust_async(call(*args, **kwargs), take)


def _exhaust(values: Generator[Any, Any, Any], take: Take) -> Any:
    with closing(values):
        while True:
            try:
                value = next(values)
            except StopIteration as stop:
                return stop.value
            if not take(value):
                return None


def _exhaust_async(values: Any, take: Take) -> None:  # Any: the async generator of a Space
    with asyncio.Runner() as runner:
        try:
            while True:
                try:
                    value = runner.run(anext(values))
                except StopAsyncIteration:
                    return
                if not take(value):
                    return
        finally:
            runner.run(values.aclose())
