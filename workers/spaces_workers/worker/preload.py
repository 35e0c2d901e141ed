"""Has the zygotes of served Spaces made before their first task comes, at the start and whenever one registers.

A Space whose web process is gone is known for days, and gets its zygote if a task comes for it.
"""

from __future__ import annotations

import logging
import threading

from spaces.errors import SpacesError
from spaces.farm.connection import connect
from spaces.farm.queue.leases import Leases
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces.farm.queue.scripts import AWAY
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)

#: Seconds until a lost broker is tried again.
RETRY_INTERVAL = 1.0


class Preloader:
    """A thread that listens to registrations on a connection of its own."""

    def __init__(self, url: str, workplace: Workplace) -> None:
        self._url = url
        self._workplace = workplace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preloader", daemon=True)

    def start(self) -> None:
        """Begin: what is registered now first, then what registers later."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(self._url) as redis:
                    self._listen(Registry(redis), Queue(redis).leases)
            except AWAY as error:
                logger.debug("no word of new Spaces: %s", error)
                self._stopping.wait(RETRY_INTERVAL)

    def _listen(self, registry: Registry, leases: Leases) -> None:
        with registry.announcements() as names:
            for record in registry.all():
                if not record.client or leases.has_client(record.client):
                    self._prepare(registry, record.name)
            while not self._stopping.is_set():
                if (name := names.next(timeout=1.0)) is not None:
                    self._prepare(registry, name)

    def _prepare(self, registry: Registry, space: str) -> None:
        try:
            self._workplace.zygotes.prepare(self._workplace.spec_of(registry.find(space)))
        except (SpacesError, ChannelClosed) as error:
            logger.warning("Space %s is not made ahead: %s", space, error)
