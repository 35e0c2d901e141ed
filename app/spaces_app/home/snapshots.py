"""The status for the home page, read from the broker at most once a second, for all viewers together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from redis import RedisError

from spaces.errors import FarmUnavailable
from spaces.farm.connection import connect, redacted
from spaces.farm.farm_status import FarmStatus
from spaces.farm.page_addresses import Page, Pages, read_pages
from spaces.farm.queue.counters.counters import Counters, read_counters
from spaces.farm.queue.counters.crowd import read_crowd
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader
from spaces_app.home.metrics.collector import Readings

#: Seconds for which one reading of the broker is reused.
FRESH = 1.0


class Snapshots:
    """The status of a farm, at most a second old. Safe to use from several threads."""

    def __init__(
        self, url: str, pages: Path, links: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.url = url  #: of the broker
        self._pages = pages
        self._links = links
        self._clock = clock
        self._reader = StatusReader(Queue(connect(url)))
        self._lock = threading.Lock()
        self._latest: FarmStatus | None = None
        self._read_at = 0.0

    def latest(self) -> FarmStatus:
        """The status of the farm, at most a second old. Raises FarmUnavailable."""
        with self._lock:
            if self._latest is None or self._clock() - self._read_at >= FRESH:
                self._latest = self._read()
                self._read_at = self._clock()
            return self._latest

    @property
    def queue(self) -> Queue:
        """The ranked queue, over the same connections."""
        return self._reader.queue

    def counters(self) -> tuple[FarmStatus, Counters]:
        """The status and the counters, now. Raises FarmUnavailable."""
        status, queue = self.latest(), self.queue
        spaces, nodes = [space.name for space in status.spaces], [worker.name for worker in status.workers]
        with self._answering():
            return status, read_counters(queue.redis, queue.keys, spaces, nodes)

    def readings(self) -> Readings:
        """The values of the metrics now. Raises FarmUnavailable."""
        status, counters = self.counters()
        with self._answering():
            return Readings(status, counters, read_crowd(self.queue.redis, self.queue.keys))

    def _read(self) -> FarmStatus:
        with self._answering():
            return self._reader.read(self._known_pages())

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise FarmUnavailable(f"the broker at {redacted(self.url)} does not answer: {error}") from error

    def _known_pages(self) -> Pages:
        pages = read_pages(self._pages)
        linked = {name: Page(url, "serving") for name, url in self._links.items()}
        return replace(pages, spaces={**linked, **pages.spaces})
