"""Gradio's side of a task in a child: turns calls of `gr.Progress`, `gr.Info`, `gr.Warning` and tqdm into events.

`relay` replaces Gradio's queue, so that they run Gradio's own code. Gradio is never imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from spaces.farm.events import Bar, Progressed, Said
from spaces.farm.texts import LONGEST_WORD, cut
from spaces.farm.values.glance import is_a


def relay(tell: Callable[[Progressed | Said], None], arguments: Iterable[object]) -> None:
    """In a child: send the function's progress and toasts to `tell`, in this context.

    `arguments` are those of the call: with a `gr.Progress(track_tqdm=True)` among them, every tqdm bar is sent too.
    """
    context = local_context()
    if context is None:
        return
    context.blocks.set(_BlocksStandIn(tell))
    context.event_id.set("task")
    context.in_event_listener.set(True)
    context.progress.set(next((each for each in arguments if _tracks_tqdm(each)), None))


class _BlocksStandIn:
    def __init__(self, tell: Callable[[Progressed | Said], None]) -> None:
        self._queue = _QueueStandIn(tell)


class _QueueStandIn:
    """The two methods of Gradio's queue that `gr.Progress` and the toasts call."""

    def __init__(self, tell: Callable[[Progressed | Said], None]) -> None:
        self._tell = tell

    def set_progress(self, event_id: str, iterables: list[Any] | None) -> None:
        del event_id
        if iterables is not None:
            self._tell(Progressed(tuple(_bar(each) for each in iterables)))

    def log_message(
        self,
        event_id: str,
        log: str,
        title: str = "Info",
        level: str = "info",
        duration: float | None = 10,
        visible: bool = True,
    ) -> None:
        del event_id
        self._tell(Said(_word(log), _word(level), _word(title), _number(duration), bool(visible)))


def local_context() -> Any:  # Any: gradio.context.LocalContext
    """Gradio's variables of the event that this thread serves; None if Gradio is not loaded."""
    module = sys.modules.get("gradio.context")
    return getattr(module, "LocalContext", None)


def _tracks_tqdm(argument: object) -> bool:
    helpers = sys.modules.get("gradio.helpers")
    progress = getattr(helpers, "Progress", None)
    return progress is not None and is_a(argument, progress) and bool(getattr(argument, "track_tqdm", False))


def _bar(tracked: Any) -> Bar:  # Any: gradio.helpers.TrackedIterable
    index, length, fraction = map(_number, (tracked.index, tracked.length, tracked.progress))
    return Bar(index, length, _word_or_none(tracked.desc), _word_or_none(tracked.unit), fraction)


def _number(value: object) -> float | None:
    """A number of any library as a plain one; None for what is no number."""
    if is_a(value, (int, float)):
        return value
    try:
        return float(value)  # type: ignore[arg-type] # this is what is tried
    except Exception:  # its own code may raise anything
        return None


def _word(value: object) -> str:
    return cut(str(value), LONGEST_WORD)


def _word_or_none(value: object) -> str | None:
    return None if value is None else _word(value)
