"""Replays calls of GPU functions that a script makes before it launches: warm-ups, compilation, cached examples.

In the web process such a call is a normal task, and its result is recorded with the Space. A zygote has no GPU, so it
answers the call from the record. At the first call that is not recorded it begins to fork, and its children run that
call. The next zygote, made with one more recorded call, gets further.
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
        """The recorded result of this call; does not return if the record ends here."""
        call = next(self._calls, None)
        if call is None:
            logger.info("the script calls %s before its launch; the children of this zygote run that call", function)
            self._serve()
        if call.function != function:
            logger.warning(
                "the script called %s where it had called %s before; it is not run any further", function, call.function
            )
            self._serve()
        return call


_replay: _Replay | None = None


def begin(calls: tuple[ImportCall, ...], serve: Callable[[], NoReturn]) -> None:
    """In a zygote, before the script runs: answer its calls from the record, then call `serve`."""
    global _replay
    _replay = _Replay(calls, serve)


def end() -> None:
    """In a child: stop the replay; calls run from now on."""
    global _replay
    _replay = None


def importing() -> bool:
    """Whether this process is a zygote whose script has not launched yet."""
    return _replay is not None


def stream(function: FunctionName) -> Generator[Any, None, Any]:
    """Replay a recorded call: yield its values, return its result, or raise its error."""
    from spaces.space import space_codec

    call = _next_call(function)
    for payload in call.yields:
        yield space_codec().decode(payload.body, payload.buffers)
    return _outcome(call)


def value(function: FunctionName) -> Any:
    """The result of a recorded call; raises its error."""
    return _outcome(_next_call(function))


def _next_call(function: FunctionName) -> ImportCall:
    if _replay is None:
        raise RuntimeError(f"{function} is not being replayed: its script has launched")
    return _replay.next(function)


def _outcome(call: ImportCall) -> Any:
    from spaces.farm.values.failure import rebuild
    from spaces.space import space_codec

    if isinstance(call.end, Failed):
        raise rebuild(call.end, space_codec())
    return space_codec().decode(call.end.value.body, call.end.value.buffers)
