"""How the supervisor finds out that what it started does its work: pages answer, sockets accept, workers hold leases.

A probe is asked again and again until it says yes, for nobody sends word when a server begins to listen.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from spaces import config
from spaces.farm.queue.leases import Leases
from spaces.farm.queue.scripts import AWAY

Probe: TypeAlias = Callable[[], Awaitable[bool]]

#: Seconds between two questions; each costs a millisecond.
INTERVAL = 0.05

#: Seconds that a page may take to answer before it is asked anew.
PAGE_PATIENCE = 20.0


async def until(probe: Probe) -> None:
    """Return when the probe says yes."""
    while not await probe():
        await asyncio.sleep(INTERVAL)


def page(host: str, port: int, path: str = "/") -> Probe:
    """Whether a page is served. One that redirects, asks for a password or lies elsewhere is served too."""

    async def answers() -> bool:
        with suppress(OSError, ValueError, TimeoutError):
            return await asyncio.wait_for(_status(host, port, path), PAGE_PATIENCE) < 500
        return False

    return answers


def listener(path: Path) -> Probe:
    """Whether somebody accepts connections at a unix socket."""

    async def answers() -> bool:
        return listens(path)

    return answers


def listens(path: Path) -> bool:
    """Whether somebody accepts connections at a unix socket, now."""
    with socket.socket(socket.AF_UNIX) as sock, suppress(OSError):
        sock.connect(str(path))
        return True
    return False


def lease(leases: Leases, pid: int) -> Probe:
    """Whether the worker that is this process has told the broker that it is alive."""

    async def is_held() -> bool:
        return pid in {info["pid"] for info in await workers(leases)}

    return is_held


async def workers(leases: Leases) -> list[dict[str, Any]]:  # Any: what workers tell of themselves
    """The workers of this host that hold a lease, as soon as the broker answers."""
    while True:
        with suppress(*AWAY):
            told = (await asyncio.to_thread(leases.workers)).values()
            return [info for info in told if info.get("host") == config.current().host]
        await asyncio.sleep(INTERVAL)


async def _status(host: str, port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        _protocol, status, *_reason = (await reader.readline()).split()
        return int(status)
    finally:
        writer.close()
