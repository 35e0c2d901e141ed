"""Runs a function of any kind as a generator, which yields and returns the function's values. A plain function is a
generator without yields."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from spaces.functions.function import GPUFunction, Kind


def stream(function: GPUFunction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Generator[Any, Any, Any]:
    """Call a function; closing the generator closes the function's own generator or coroutine."""
    call = function.function
    match function.kind:
        case Kind.PLAIN:
            value = call(*args, **kwargs)
            return asyncio.run(value) if inspect.iscoroutine(value) else value
        case Kind.GENERATOR:
            return (yield from call(*args, **kwargs))
        case Kind.COROUTINE:
            return asyncio.run(call(*args, **kwargs))
        case Kind.ASYNC_GENERATOR:
            yield from _async_stream(call(*args, **kwargs))


def _async_stream(values: Any) -> Generator[Any, None, None]:  # Any: the async generator of a Space
    with asyncio.Runner() as runner:
        try:
            while True:
                try:
                    value = runner.run(anext(values))
                except StopAsyncIteration:
                    return
                yield value
        finally:
            runner.run(values.aclose())
