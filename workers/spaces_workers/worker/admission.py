"""The checks of a worker before it begins: whether the broker takes its login, and whether it fits other workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from redis import AuthenticationError
from redis.exceptions import NoPermissionError

from spaces import config
from spaces.errors import RefusedError
from spaces.farm.broker_errors import AWAY
from spaces.farm.connection import connect, redacted
from spaces.farm.queue.queue import Queue
from spaces.farm.version import check_version
from spaces_workers.joining.join_token import NEW_ONE
from spaces_workers.joining.login import refused
from spaces_workers.setup.farm_key import fingerprint
from spaces_workers.worker.main import WorkerOptions

logger = logging.getLogger(__name__)

#: Seconds between two attempts to reach a broker that is away, and between two looks at workers that do not fit.
INTERVAL = 0.5

Info = Mapping[str, Any]  # Any: plain data, as workers tell it of themselves


def await_admission(options: WorkerOptions) -> None:
    """Return when the broker answers and this worker fits those that live. Raises BrokerLoginRefused, RefusedError.

    A worker that was killed seems to live for as long as its lease.
    """
    with connect(options.url, retry=None) as redis:
        queue = Queue(redis)
        others = _others(queue, options.url)
        deadline = time.monotonic() + queue.rules.worker_lease + 1
        while True:
            try:
                return check_others(options, others)
            except RefusedError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(INTERVAL)
            others = _others(queue, options.url)


def check_others(options: WorkerOptions, others: Iterable[Info]) -> None:
    """Raise RefusedError if this worker has another key than one that lives, or a version that it cannot work with.

    Workers of earlier releases tell neither.
    """
    mine = fingerprint(options.farm_key)
    for other in others:
        if "version" in other:
            check_version(f"worker {other['node']}", int(other["version"]))
        if other.get("key", mine) != mine:
            raise RefusedError(
                f"worker {other['node']} has the key {other['key']}, worker {options.node_name} has the key {mine}: "
                "one of them cannot read what pages send. Give this one the key in farm.key of the farm's state "
                f"directory, by ${config.FARM_KEY}, or join again. {NEW_ONE}"
            )


def _others(queue: Queue, url: str) -> list[Info]:
    """The workers that live, as soon as the broker answers."""
    told = False
    while True:
        try:
            return list(queue.leases.workers().values())
        except (AuthenticationError, NoPermissionError) as error:
            raise refused(url, error) from None
        except AWAY as error:
            level, told = logging.DEBUG if told else logging.WARNING, True
            logger.log(level, "the broker at %s does not answer, and is waited for: %s", redacted(url), error)
        time.sleep(INTERVAL)
