"""Takes a sample of the farm each half minute, for the charts, on a thread of its own."""

from __future__ import annotations

import logging
import threading

from redis import RedisError

from spaces.errors import FarmUnavailable
from spaces.farm.queue.counters.samples import INTERVAL, keep_sample, sample_of
from spaces_app.home.snapshots import Snapshots

logger = logging.getLogger(__name__)

#: Seconds until the first sample. While a server starts, libraries look through all objects; a tuple that another
#: thread is making must not be found (CPython's bpo-15108, seen here as SystemError).
FIRST = 2.0


class Sampler:
    """Samples until it is stopped; a broker that is away is asked again at the next time."""

    def __init__(self, snapshots: Snapshots, interval: float = INTERVAL) -> None:
        self._snapshots = snapshots
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Take the first sample once the server has started."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more."""
        self._stopping.set()

    def _run(self) -> None:
        pause = FIRST
        while not self._stopping.wait(pause):
            pause = self._interval
            try:
                self._sample()
            except (FarmUnavailable, RedisError) as error:
                logger.debug("no sample of the farm: %s", error)
            except Exception:  # the charts shall go on after any error
                logger.exception("no sample of the farm")

    def _sample(self) -> None:
        (status, counters), queue = self._snapshots.counters(), self._snapshots.queue
        waiting = sum(each.waiting for each in status.queues)
        running = sum(each.running for each in status.spaces)
        keep_sample(queue.redis, queue.keys, sample_of(counters, waiting, running))
