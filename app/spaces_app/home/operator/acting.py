"""The actions of operators on the page. Each is recorded with its operator, as `zerofarm audit` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from spaces.errors import SpacesError
from spaces.farm.links.operator_line import ask
from spaces.farm.links.retrying import retry
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.control.controls import Controls
from spaces.farm.queue.queue import CancelOutcome, Queue

#: Seconds for which the page waits until a Space is loaded; its lists show the rest.
LOAD_PATIENCE = 2.0


class NotPossible(SpacesError, ValueError):
    """There is no such action, or nothing that it could act on."""


@dataclass(frozen=True, slots=True)
class Request:
    """An action that the page asks for."""

    verb: str
    target: str  #: a task, a Space or a worker


class Acting:
    """Acts for one operator, whom visitors know as `alias`. All methods may raise redis's errors."""

    def __init__(self, queue: Queue, url: str, by: str, state_dir: Path, alias: str | None = None) -> None:
        self._queue = queue
        self._url = url  #: of the broker
        self._by = by
        self._alias = alias or by
        self._state_dir = state_dir
        self._controls = Controls(queue, by)

    def do(self, request: Request) -> str:
        """Do it, and say in a sentence what was done. Raises SpacesError."""
        verbs: Mapping[str, Callable[[str], str]] = {
            "cancel": self._cancel,
            "retry": self._retry,
            "load": self._load,
            "pause": lambda space: _said(self._controls.pause(space), f"{space} is paused", "was paused before"),
            "resume": lambda space: _said(self._controls.resume(space), f"{space} goes on", "was not paused"),
            "pin": lambda space: _said(self._controls.pin(space), f"{space} keeps its room on a GPU", "did so before"),
            "unpin": lambda space: _said(self._controls.unpin(space), f"{space} makes room again", "was not pinned"),
            "drain": lambda worker: _said(self._controls.drain(worker), f"{worker} takes no task", "did not before"),
            "restart": lambda space: self._asked_up("restart", space, "is restarted"),
            "rollback": lambda space: self._asked_up("rollback", space, "is back at its revision before"),
            "undrain": lambda worker: _said(self._controls.undrain(worker), f"{worker} takes tasks", "was not drained"),
        }
        if request.verb not in verbs:
            raise NotPossible(f"there is no action {request.verb!r}; there are {', '.join(verbs)}")
        return verbs[request.verb](request.target)

    def _asked_up(self, action: str, space: str, done: str) -> str:
        """Have `zerofarm up` do it, which records it too. Waits until it is done."""
        ask(self._state_dir, action, self._by, space=space)
        return f"{space} {done}"

    def _cancel(self, task: str) -> str:
        outcome = self._queue.cancel(task, f"cancelled by the operator {self._alias}")
        if outcome is CancelOutcome.UNKNOWN:
            raise NotPossible(f"the farm does not know task {task}: it was forgotten after its end")
        if outcome is CancelOutcome.ENDED:
            return f"task {task[:8]} had ended before"
        Audit(self._queue.redis, self._queue.keys).note(Action(self._by, "cancel", task))
        return f"task {task[:8]} {'is cancelled' if outcome is CancelOutcome.REMOVED else 'is being stopped'}"

    def _retry(self, task: str) -> str:
        return f"task {task[:8]} is queued again, as task {retry(self._queue, task, self._by).id[:8]}"

    def _load(self, space: str) -> str:
        """Waits for its end, but not long: each wait holds a thread of the home page."""
        from spaces.farm.celery.celery_app import make_celery  # Celery takes long to import, and is needed rarely
        from spaces.farm.links import loading

        with make_celery(self._url) as app:
            task = loading.load(self._queue, app, space, self._by)
            return loading.outcome(self._queue, task, LOAD_PATIENCE)


def _said(changed: bool, done: str, otherwise: str) -> str:
    return done if changed else f"nothing has changed: it {otherwise}"
