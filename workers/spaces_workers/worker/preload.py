"""Has the zygotes of served Spaces made before their first task: at the start, and whenever a Space registers.

A Space without a live web process stays known for days; it gets its zygote when a task for it comes. One that falls
idle gives it up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from spaces.errors import SpacesError
from spaces.farm.queue.broker_thread import BrokerThread
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.registry import BecameIdle, Registered, Registry
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
        with registry.announcements() as told:
            for record in registry.all():
                if not record.client or queue.leases.has_client(record.client):
                    self._prepare(registry, record.name)
            self._answered()
            while not self._stopping.is_set():
                match told.next(timeout=1.0):
                    case Registered(space):
                        self._prepare(registry, space)
                    case BecameIdle(space):
                        self._let_go(space)

    def _let_go(self, space: str) -> None:
        """Give up its zygote and its idle child. The next task makes them again."""
        self._workplace.residency.let_go(space)
        try:
            self._workplace.zygotes.retire(space)
        except ChannelClosed as error:  # without a nursery it has no zygote
            logger.info("the zygote of Space %s is not given up: %s", space, error)

    def _prepare(self, registry: Registry, space: str) -> None:
        try:
            self._workplace.zygotes.prepare(self._workplace.spec_of(registry.find(space)))
        except (SpacesError, ChannelClosed, OSError, ValueError) as error:  # other Spaces must still be prepared
            logger.warning("the zygote of Space %s is not made early: %s", space, error)
