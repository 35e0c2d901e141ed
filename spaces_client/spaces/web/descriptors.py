"""File descriptors of a process: as many as it may have, and a page that recovers when it had none left."""

from __future__ import annotations

import resource
from asyncio.selector_events import BaseSelectorEventLoop
from typing import Any

#: More than any page or worker needs; some programs walk through all that they may have.
MOST = 65_536


def prepare() -> None:
    """In a web process, before its server starts."""
    raise_limit()
    _accept_one_by_one()


def raise_limit() -> None:
    """Each visitor who waits holds a connection, and each copy that sleepers share a file; many systems allow 1,024 at
    first.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _accept_one_by_one() -> None:
    """Have asyncio try once in each round of its loop to accept a connection.

    Without a descriptor it tries as often as the backlog is long, 2,048 times in uvicorn: each with a traceback in the
    log, and with a timer that starts as many a second later (https://github.com/python/cpython/issues/151615).
    """
    accept: Any = BaseSelectorEventLoop._accept_connection  # type: ignore[attr-defined] # Any: a private method

    def accept_one(loop: Any, protocol_factory: Any, sock: Any, context: Any, server: Any, _: int, *more: Any) -> None:
        accept(loop, protocol_factory, sock, context, server, 1, *more)

    BaseSelectorEventLoop._accept_connection = accept_one  # type: ignore[attr-defined]
