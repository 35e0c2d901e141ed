"""Notices two pages of one name: programs and workers find the one that registered last, and operators should know."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spaces.errors import RefusedError
from spaces.farm.queue.control.audit import Action, Audit
from spaces.farm.queue.registry import Registry, SpaceRecord

if TYPE_CHECKING:
    from spaces.farm.queue.queue import Queue

logger = logging.getLogger(__name__)

#: Who notices it, in the record of actions.
BY = "the farm"


def announce(queue: Queue, record: SpaceRecord) -> None:
    """Before a page registers: tell if another page of the same name is alive, and has other files."""
    try:
        other = Registry(queue.redis, queue.keys).find(record.name)
    except (RefusedError, ValueError):  # none, or one of another version
        return
    if _place(other) == _place(record) or not other.client or other.client == record.client:
        return
    if queue.leases.has_client(other.client):
        text = f"two pages are named {record.name}: that of {_told(other)}, and now that of {_told(record)}"
        logger.warning("%s. Programs and workers find the latter. Give one of them another name", text)
        Audit(queue.redis, queue.keys).note(Action(BY, "two pages", record.name, text))


def _place(record: SpaceRecord) -> tuple[str, str]:
    return record.host, record.app_file


def _told(record: SpaceRecord) -> str:
    return f"{record.app_file} on {record.host}"
