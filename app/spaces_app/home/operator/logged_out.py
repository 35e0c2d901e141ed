"""Remembers the sessions that operators have ended: a copy of the cookie opens nothing any more.

The broker holds each until its time is over, so that a restart of the home page forgets none.
"""

from __future__ import annotations

import logging
import math
import time
from hashlib import sha256

from redis import RedisError

from spaces.farm.queue.queue import Queue

logger = logging.getLogger(__name__)


class LoggedOut:
    """The sessions of one farm that have ended before their time. Safe to use from several threads."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._ended: dict[str, float] = {}  #: by this process, until when; the broker may have been away

    def add(self, token: str, until: float) -> None:
        """End the session with this token, whose time would be over at `until`, in seconds since the epoch."""
        now, key = time.time(), self._key(token)
        self._ended = {each: end for each, end in self._ended.items() if end > now} | {key: until}
        try:
            self._queue.redis.set(key, "", ex=max(1, math.ceil(until - now)))
        except RedisError as error:
            logger.warning("a session was logged out; the next start of this page does not know it: %s", error)

    def has(self, token: str) -> bool:
        """Whether it has ended. While the broker is away, only those count that this process has ended."""
        key = self._key(token)
        try:
            return key in self._ended or bool(self._queue.redis.exists(key))
        except RedisError:
            return False

    def _key(self, token: str) -> str:
        return self._queue.keys.logged_out(sha256(token.encode()).hexdigest()[:32])
