"""`threading.Condition`: a notification wakes the longest waiter, which in a fork may be a lost thread."""

from __future__ import annotations

import threading

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """In a child, conditions forget their waiters, and locks that a lost thread held are released."""
    conditions = objects.of(threading.Condition)

    def revive() -> None:
        for condition in conditions:
            condition._waiters.clear()  # type: ignore[attr-defined] # Python has no other access
            if condition.acquire(blocking=False):
                condition.release()
            else:
                condition._lock._at_fork_reinit()  # type: ignore[attr-defined] # as Python does for its own

    return revive if conditions else None
