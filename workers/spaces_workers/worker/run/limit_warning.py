"""A toast for the visitor whose task is about to reach its time limit."""

from __future__ import annotations

import logging
import threading

from spaces.farm.broker_errors import AWAY
from spaces.farm.events import Said
from spaces.farm.queue.queue import LeaseLost, Queue
from spaces.farm.task import Lease

logger = logging.getLogger(__name__)


def warn_of_limit(queue: Queue, lease: Lease, seconds: float) -> None:
    """Tell the task's caller how many seconds of its time limit are used.

    Returns at once: the broker is spoken to on a thread of its own, so that its absence holds up the toast alone.
    """
    limit = lease.task.time_limit
    text = f"{lease.task.function} has run for {seconds:.0f} s. It will be stopped at its time limit of {limit:g} s."
    said = Said(text, "warning", "ZeroGPU duration")
    threading.Thread(target=_say, args=(queue, lease, said), name="limit-warning", daemon=True).start()


def _say(queue: Queue, lease: Lease, said: Said) -> None:
    try:
        queue.append(lease, [said])
    except (LeaseLost, *AWAY) as error:
        logger.debug("task %s: a warning was not delivered: %s", lease.task.id, error)
