"""Celery's message for a task. Celery makes one for each function and size; it is filled in for each task."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self

from celery import Celery
from kombu.utils.json import JSONEncoder

from spaces.farm.size import Size
from spaces.farm.task import Task

#: The name of the one Celery task. Flower and logs display its `shadow`, the label of our task.
RUN = "zerofarm.run"

#: Like `kombu.utils.json.dumps`, which makes a new encoder for each message.
_in_json = JSONEncoder().encode

#: The blanks of a form. They occur nowhere else in it.
_ID, _SUMMARY, _TIME_LIMIT = f"id-{uuid.uuid4().hex}", f"summary-{uuid.uuid4().hex}", 86_399.015625


@dataclass(slots=True)
class Draft:
    """A message that passes through Celery and kombu, and is kept instead of sent."""

    id: str = _ID
    message: Mapping[str, Any] | None = None  # Any: kombu's own
    event: Mapping[str, Any] = field(default_factory=dict)  # Any: values of several types

    # Celery calls this as if it were a dispatcher of events.
    def publish(self, kind: str, fields: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        self.event = fields


_draft: ContextVar[Draft] = ContextVar("draft")


def current_draft() -> Draft | None:
    """The draft that takes the next message; None if messages are sent."""
    return _draft.get(None)


@contextmanager
def _drafting() -> Iterator[Draft]:
    draft = Draft()
    token = _draft.set(draft)
    try:
        yield draft
    finally:
        _draft.reset(token)


class MessageForm:
    """The message, and the fields of the event `task-sent`, of tasks with the same label and size."""

    def __init__(self, message: Mapping[str, Any], event: Mapping[str, Any]) -> None:  # Any: Celery's own
        self._message = _in_json(message)
        self._event = event

    @classmethod
    def of(cls, app: Celery, task: Task) -> Self:
        """Have Celery make it. Raises errors of the broker."""
        with _drafting() as draft:
            app.send_task(
                RUN,
                task_id=_ID,
                queue=f"zerofarm.{Size(task.size)}",
                shadow=task.label,
                argsrepr=_SUMMARY,
                kwargsrepr="",
                time_limit=_TIME_LIMIT,
                ignore_result=True,
                declare=[],  # a ranked queue always exists
                event_dispatcher=draft,
            )
        if draft.message is None:
            raise RuntimeError(f"Celery made no message for {task.label}")
        return cls(draft.message, draft.event)

    def message(self, task: Task) -> bytes:
        """The message of a task."""
        # What a caller wrote comes last, so that no blank is looked for in it.
        text = self._message.replace(_in_json(_TIME_LIMIT), _in_json(task.time_limit))
        text = text.replace(_in_json(_ID), _in_json(task.id))
        filled_in: str = text.replace(_in_json(_SUMMARY), _in_json(task.summary))
        return filled_in.encode()

    def event(self, task: Task) -> dict[str, Any]:
        """The fields of the event `task-sent` of a task; none if Celery is set to send no such events."""
        filled_in = {_ID: task.id, _SUMMARY: task.summary}
        return {name: filled_in.get(value, value) for name, value in self._event.items()}
