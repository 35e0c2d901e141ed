"""Calls of GPU functions that a script makes before it launches: warm-ups, compilation, examples cached ahead.

In the web process such a call is a task like any other, and what came of it is recorded with the Space. A zygote has no
GPU, so it answers the call from the record; where the record ends, that call is what it is there to run, and it becomes
the fork server right at that point. The next zygote, made with one more recorded call, gets further.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NoReturn

from spaces.farm.events import Failed
from spaces.farm.queue.registry import ImportCall
from spaces.farm.task import FunctionName

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)


class _Replay:
    """The recorded calls of a script that is being imported, in order."""

    def __init__(self, calls: tuple[ImportCall, ...], serve: Callable[[], NoReturn]) -> None:
        self._calls = iter(calls)
        self._serve = serve

    def next(self, function: FunctionName) -> ImportCall:
        """What came of this call; does not return where the record ends."""
        call = next(self._calls, None)
        if call is None:
            logger.info("the script calls %s before its launch; this zygote is there to run that call", function)
            self._serve()
        if call.function != function:
            logger.warning(
                "the script called %s where it called %s before; it goes no further", function, call.function
            )
            self._serve()
        return call


_replay: _Replay | None = None


def begin(calls: tuple[ImportCall, ...], serve: Callable[[], NoReturn]) -> None:
    """In a zygote, before the script: answer its calls from the record, then `serve`."""
    global _replay
    _replay = _Replay(calls, serve)


def end() -> None:
    """In a child: from here on a call is a call."""
    global _replay
    _replay = None


def importing() -> bool:
    """Whether this process is a zygote whose script has not launched yet."""
    return _replay is not None


def stream(function: FunctionName) -> Generator[Any, None, Any]:
    """What the recorded call of a function yielded and returned, or raised."""
    from spaces.farm.values.failure import rebuild
    from spaces.space import space_codec

    if _replay is None:
        raise RuntimeError(f"{function} is not being replayed: its script has launched")
    codec = space_codec()
    call = _replay.next(function)
    for payload in call.yields:
        yield codec.decode(payload.body, payload.buffers)
    if isinstance(call.end, Failed):
        raise rebuild(call.end, codec)
    return codec.decode(call.end.value.body, call.end.value.buffers)


def value(function: FunctionName) -> Any:
    """What the recorded call of a function returned, or raises what it raised."""
    values = stream(function)
    while True:
        try:
            next(values)
        except StopIteration as stop:
            return stop.value
