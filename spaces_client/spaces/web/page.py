"""Gradio's side of a task in the web process: its visitor, and the display of progress, toasts and errors.

A `GradioVisitor` holds the event that a call belongs to; `functions.gradio_relay` is the child's side. Gradio is never
imported here: if it is not loaded, no page uses it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from spaces.errors import RemoteError, SpacesError, TaskError
from spaces.farm.events import Bar, Progressed, Said
from spaces.farm.memory_errors import lacks_memory
from spaces.farm.values.glance import text_of
from spaces.functions.gradio_relay import local_context
from spaces.web.waiting import Rolls


class NoVisitor:
    """A script, an API route or a plain thread: it gets only the result."""

    listens = False

    def is_gone(self, rolls: Rolls) -> bool:
        """Return False, because it is unknown."""
        return False

    def tell(self, event: Progressed | Said) -> None:
        """Do nothing, because there is no page."""


class GradioVisitor:
    """The visitor behind one event of Gradio's queue."""

    listens = True

    def __init__(self, queue: Any, event_id: str) -> None:  # Any: gradio.queueing.Queue
        self._queue = queue
        self._event_id = event_id

    def is_gone(self, rolls: Rolls) -> bool:
        """Whether the page was closed or the event cancelled; Gradio only marks the event."""
        roll = rolls.get(id(self._queue))
        if roll is None:
            roll = rolls[id(self._queue)] = {event._id for event in self._running() if event.alive}
        return self._event_id not in roll

    def tell(self, event: Progressed | Said) -> None:
        """Show progress or a toast on the page."""
        match event:
            case Progressed(bars):
                self._queue.set_progress(self._event_id, [_tracked(bar) for bar in bars])
            case Said():
                self._queue.log_message(
                    event_id=self._event_id,
                    log=event.text,
                    duration=event.duration,
                    visible=event.visible,
                    **_kind(event, self._queue.log_message),
                )

    def _running(self) -> Iterable[Any]:
        return [event for job in list(self._queue.active_jobs) if job for event in job]


def current_visitor() -> NoVisitor | GradioVisitor:
    """The visitor whom this thread serves."""
    context = local_context()
    if context is None:
        return NoVisitor()
    blocks, event_id = context.blocks.get(None), context.event_id.get(None)
    return GradioVisitor(blocks._queue, event_id) if blocks is not None and event_id else NoVisitor()


def current_request() -> Any:  # Any: gradio.Request
    """The request of the event that this thread serves, of a batch the first; None if it serves none."""
    context = local_context()
    variable = getattr(context, "request", None)  # Gradio 4 has it from 4.4 on
    request = variable.get(None) if variable is not None else None
    return next(iter(request), None) if isinstance(request, list) else request


@contextmanager
def shown_to_visitor() -> Iterator[None]:
    """Show the farm's own errors even on a page that hides errors: the reason why a task stopped concerns its visitor.

    So does a lack of memory: the visitor may request less. The error keeps its class, and becomes a `gr.Error` as well.
    Gradio's `show_error` decides on a function's own errors.
    """
    try:
        yield
    except Exception as error:
        shown = _as_gradio_error(error) if _concerns_visitor(error) else None
        if shown is None:
            raise
        raise shown from error.__cause__


def _kind(event: Said, log_message: Callable[..., None]) -> dict[str, str]:
    """Level and title of a toast; Gradio 4 has neither titles nor the level `success`."""
    if "title" in inspect.signature(log_message).parameters:
        return {"level": event.level, "title": event.title}
    return {"level": "warning" if event.level == "warning" else "info"}


def _concerns_visitor(error: Exception) -> bool:
    return _is_of_memory(error) or (isinstance(error, SpacesError) and not isinstance(error, RemoteError))


def _is_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or lacks_memory(type(error).__name__, text_of(error))


def _as_gradio_error(error: Exception) -> BaseException | None:
    gradio_error = getattr(sys.modules.get("gradio.exceptions"), "Error", None)
    if gradio_error is None or isinstance(error, gradio_error):
        return None
    text, title = text_of(error), getattr(error, "title", TaskError.title)
    if _is_of_memory(error):
        text = f"Out of memory: {text}" if text else "Out of memory"
    own = {"__init__": gradio_error.__init__, "__str__": lambda _: text}
    shown: Any = type(type(error).__name__, (type(error), gradio_error), own)(text)  # Any: a gr.Error
    shown.title = title  # Gradio 4 takes none
    return shown  # type: ignore[no-any-return] # a subclass of `type(error)`


def _tracked(bar: Bar) -> Any:
    tracked = sys.modules["gradio.helpers"].TrackedIterable
    return tracked(None, bar.index, bar.length, bar.description, bar.unit, None, bar.fraction)
