"""`threading.Condition`: a notification wakes who has waited longest, which in a fork is a thread that is lost."""

from __future__ import annotations

import threading

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """Conditions have a child forget their waiters, and locks that a lost thread held."""
    conditions = objects.of(threading.Condition)

    def revive() -> None:
        for condition in conditions:
            condition._waiters.clear()  # type: ignore[attr-defined] # Python tells them by no other way
            if condition.acquire(blocking=False):
                condition.release()
            else:
                condition._lock._at_fork_reinit()  # type: ignore[attr-defined] # as Python does for its own

    return revive if conditions else None
