"""Has the farm's own broker write its file anew after its disk was full.

Valkey 9.1.2 leaves half a record in a file that it has rewritten before, goes on behind it once there is room, and does
not start again from such a file.
"""

from __future__ import annotations

import asyncio

from redis import Redis, RedisError

from spaces.farm.connection import connect

#: Seconds between two looks; the broker itself tries once a second whether there is room.
INTERVAL = 0.5

#: Seconds that a look may take.
PATIENCE = 3.0


async def mend_after_full_disk(url: str) -> None:
    """Watch the broker at `url`, which has just been started, for ever."""
    with connect(url, retry=None, socket_timeout=PATIENCE) as broker:
        watch = _Watch(broker)
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await asyncio.to_thread(watch.look)
            except RedisError:
                pass  # it is away, or its disk is full


class _Watch:
    def __init__(self, broker: Redis) -> None:
        self._broker = broker
        self._refused = 0
        self._is_damaged = False  #: half a record is in the file, as far as is known

    def look(self) -> None:
        """Have the file written anew if it is damaged and there is room."""
        refused, told = self._count_refused(), self._broker.info("persistence")
        has_room = told["aof_last_write_status"] == "ok"
        self._is_damaged = self._is_damaged or not has_room or refused > self._refused
        self._refused = refused
        if self._is_damaged and has_room and not told["aof_rewrite_in_progress"]:
            self._broker.bgrewriteaof()
            self._is_damaged = False

    def _count_refused(self) -> int:
        """How many commands were refused because the disk was full: it may have been between two looks."""
        found = self._broker.info("errorstats").get("errorstat_MISCONF", {})
        return int(found.get("count", 0))
