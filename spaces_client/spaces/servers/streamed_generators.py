"""Closes a generator that a route streams, once its client has left, which cancels its GPU task.

Starlette 1.10 drops such a generator in a cycle of references, and only Python's garbage collector closes it, some time
later (`findings/starlette_leaves_a_generator_open_when_its_client_leaves.sh`). Starlette is never imported here.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Iterable
from typing import Any

#: The modules that iterate plain generators of a Space's routes in threads.
STREAMING = ("starlette.responses", "fastapi.routing", "sse_starlette.sse")


def watch(module: Any) -> None:  # Any: one of `STREAMING`, of any version
    """Have the module close the generators that it iterates in threads."""
    original = getattr(module, "iterate_in_threadpool", None)
    if original is None:
        return

    @functools.wraps(original)
    async def iterate_and_close(content: Iterable[Any]) -> AsyncIterator[Any]:  # Any: bytes or text
        iterator = iter(content)
        try:
            async for chunk in original(iterator):
                yield chunk
        finally:
            if inspect.isgenerator(iterator):
                await _in_a_thread(iterator.close)

    module.iterate_in_threadpool = iterate_and_close


async def _in_a_thread(close: Any) -> None:  # Any: the method of a generator
    """Close, although the stream is being cancelled; a task is cancelled over the network."""
    import anyio.to_thread

    with anyio.CancelScope(shield=True):
        await anyio.to_thread.run_sync(close)
