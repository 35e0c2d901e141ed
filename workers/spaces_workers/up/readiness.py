"""Readiness probes of the supervisor: pages answer, sockets accept connections, workers hold leases.

A probe is polled until it succeeds, because a server sends no notice when it begins to listen.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from redis import RedisError

from spaces import config
from spaces.farm.queue.leases import Leases

Probe: TypeAlias = Callable[[], Awaitable[bool]]

#: Seconds between two polls; each costs a millisecond.
INTERVAL = 0.05

#: Seconds to wait for a page's answer before it is asked again.
PAGE_PATIENCE = 20.0


async def until(probe: Probe) -> None:
    """Return once the probe succeeds."""
    while not await probe():
        await asyncio.sleep(INTERVAL)


def page(host: str, port: int, *paths: str) -> Probe:
    """Probe whether a page is served at the first of these paths that there is. Errors of its server count as not yet.

    A redirect and a password prompt count as served. So does a page that has none of the paths: it lies below them.
    """

    async def answers() -> bool:
        with suppress(OSError, ValueError, TimeoutError):
            return await asyncio.wait_for(_served(host, port, paths), PAGE_PATIENCE)
        return False

    return answers


async def _served(host: str, port: int, paths: Sequence[str]) -> bool:
    for path in paths:
        status = await status_of(host, port, path)
        if status != 404:
            return status < 500
    return True


def listener(path: Path) -> Probe:
    """Probe whether a process accepts connections at a unix socket."""

    async def answers() -> bool:
        return listens(path)

    return answers


def listens(path: Path) -> bool:
    """Whether a process accepts connections at a unix socket now."""
    with socket.socket(socket.AF_UNIX) as sock, suppress(OSError):
        sock.connect(str(path))
        return True
    return False


def lease(leases: Leases, pid: int) -> Probe:
    """Probe whether the worker with this process id holds a lease in the broker."""

    async def is_held() -> bool:
        return pid in {info["pid"] for info in await workers(leases)}

    return is_held


async def workers(leases: Leases) -> list[dict[str, Any]]:  # Any: what workers tell of themselves
    """Return the workers of this host that hold a lease, once the broker answers."""
    while True:
        with suppress(RedisError):
            told = (await asyncio.to_thread(leases.workers)).values()
            return [info for info in told if info.get("host") == config.current().host]
        await asyncio.sleep(INTERVAL)


async def status_of(host: str, port: int, path: str) -> int:
    """The status of the answer of a page. Raises OSError, ValueError for an answer that is not HTTP."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        _protocol, status, *_reason = (await reader.readline()).split()
        return int(status)
    finally:
        writer.close()
