"""`logging.handlers.QueueListener`: the thread that writes the records of other threads is lost."""

from __future__ import annotations

from logging.handlers import QueueListener

from spaces_workers.forking.revivers.objects import Objects
from spaces_workers.forking.revivers.reviver import Revive


def prepare(objects: Objects) -> Revive | None:
    """Listeners that were running are started again in a child."""
    listeners = [each for each in objects.of(QueueListener) if each._thread is not None]

    def revive() -> None:
        for listener in listeners:
            listener._thread = None
            listener.start()

    return revive if listeners else None
