"""Has the zygotes of served Spaces made before their first task: at the start, and whenever a Space registers.

A Space without a live web process stays known for days; it gets its zygote when a task for it comes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from spaces.errors import SpacesError
from spaces.farm.queue.broker_thread import BrokerThread
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import Registry
from spaces_workers.link.channel import ChannelClosed
from spaces_workers.worker.workplace import Workplace

logger = logging.getLogger(__name__)


class Preloader(BrokerThread):
    """Listens to registrations: prepares first the Spaces that are registered at its start, then those that follow."""

    def __init__(self, connect: Callable[[], Queue], workplace: Workplace) -> None:
        super().__init__("preloader", connect)
        self._workplace = workplace

    def _round(self, queue: Queue) -> None:
        registry = Registry(queue.redis)
        with registry.announcements() as names:
            for record in registry.all():
                if not record.client or queue.leases.has_client(record.client):
                    self._prepare(registry, record.name)
            self._answered()
            while not self._stopping.is_set():
                if (name := names.next(timeout=1.0)) is not None:
                    self._prepare(registry, name)

    def _prepare(self, registry: Registry, space: str) -> None:
        try:
            self._workplace.zygotes.prepare(self._workplace.spec_of(registry.find(space)))
        except (SpacesError, ChannelClosed, OSError, ValueError) as error:  # other Spaces must still be prepared
            logger.warning("the zygote of Space %s is not made early: %s", space, error)
