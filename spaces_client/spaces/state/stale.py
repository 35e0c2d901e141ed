"""Warns in a Space's log, once for each global, that a process does not see the change of another process."""

from __future__ import annotations

import logging

from spaces.farm.events import ChangedGlobals
from spaces.farm.task import Task

logger = logging.getLogger(__name__)

_warned: set[tuple[str, str]] = set()


def warn_of_unsent(name: str, reader: str, reason: str) -> None:
    """Warn of a global that a handler changed, that a GPU function reads, and that cannot be sent."""
    if _first("unsent", name):
        logger.warning(
            "the global %r was changed in the web process; %s, which reads it on the GPU, sees the old value: %s. "
            "Pass it as an argument, or create it where it is used",
            name,
            reader,
            reason,
        )


def warn_of_missed(task: Task, event: ChangedGlobals) -> None:
    """Warn of globals that a GPU function changed and functions of the web process read. Other callers read none."""
    for change in event.changes if task.client else ():
        if _first("missed", change.name):
            logger.warning(
                "%s() changed the global %r in its GPU process; the web process, where %s reads it, does not see that. "
                "Return it instead",
                task.function,
                change.name,
                change.reader,
            )


def _first(what: str, name: str) -> bool:
    if (what, name) in _warned:
        return False
    _warned.add((what, name))
    return True
