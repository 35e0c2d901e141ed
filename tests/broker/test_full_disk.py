"""The farm's own broker whose disk was full: it has all that it accepted, also after its next start."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from redis import Redis, RedisError

from chaos.mounts import SmallDisk
from spaces.farm.connection import connect
from spaces_workers.broker.embedded import EmbeddedBroker
from spaces_workers.broker.find import find_broker
from spaces_workers.broker.full_disk import mend_after_full_disk
from tests.waiting import wait_until


def test_a_broker_whose_disk_was_full_starts_again_with_all_that_it_accepted(tmp_path: Path) -> None:
    """Valkey did not start: half a record was in its file, and whole ones behind it."""
    disk = SmallDisk(tmp_path / "state", 64 << 20)
    if not disk.is_small:
        pytest.skip("only root may mount a small disk")
    try:
        _fill_and_restart(disk)
    finally:
        disk.close()


def _fill_and_restart(disk: SmallDisk) -> None:
    broker = find_broker(disk.folder)
    assert isinstance(broker, EmbeddedBroker)
    with connect(broker.url) as redis:
        redis.bgrewriteaof()
        wait_until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
        asyncio.run(_fill(disk, redis, broker.url))
        redis.set("last", 1)
        wait_until(lambda: not redis.info("persistence")["aof_rewrite_in_progress"])
    broker.stop()
    again = find_broker(disk.folder)
    with connect(again.url) as redis:
        assert redis.get("last") == b"1"
    again.stop()


async def _fill(disk: SmallDisk, redis: Redis, url: str) -> None:
    """Let the disk be full while the broker writes, and wait until its file has been written anew."""
    mending = asyncio.create_task(mend_after_full_disk(url))
    disk.fill()
    os.truncate(disk.folder / "filling", (disk.folder / "filling").stat().st_size - 1000)
    await asyncio.to_thread(wait_until, lambda: _is_refused(redis))
    rewrites = redis.info("persistence")["aof_rewrites"]
    disk.empty()
    await asyncio.to_thread(wait_until, lambda: redis.info("persistence")["aof_rewrites"] > rewrites)
    mending.cancel()


def _is_refused(redis: Redis) -> bool:
    try:
        redis.set("large", os.urandom(100_000))
    except RedisError:
        return True
    return False
