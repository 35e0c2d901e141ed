"""`logging.handlers.QueueListener`: the thread that writes what others log is lost."""

from __future__ import annotations

from collections.abc import Sequence
from logging.handlers import QueueListener

from spaces_workers.forking.revivers.instances import instances
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Sequence[object]) -> Revive | None:
    """Listeners that had been started are started again in a child."""
    listeners = [each for each in instances(objects, QueueListener) if each._thread is not None]

    def revive() -> None:
        for listener in listeners:
            listener._thread = None
            listener.start()

    return revive if listeners else None
