"""The address of a visitor whose request waited until its page was started, and then was passed on to it.

A page sees this host as the sender. The farm says in a header where the request came from, signed with the Space's key,
which no visitor has. Which proxies a page believes is decided afterwards, as for requests that reach it straight.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

#: The header's name, as ASGI has names.
HEADER = b"x-zerofarm-came-from"

Scope = MutableMapping[str, Any]  # Any: of ASGI
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]


def introduction(key: bytes, address: str) -> bytes:
    """The header's value for a request that came from this address."""
    signature = hmac.digest(key, b"zerofarm visitor\0" + address.encode(), "sha256")
    return f"{address} {signature.hex()}".encode()


class Introduced:
    """An ASGI app that sees those from whom its requests came."""

    def __init__(self, app: Asgi, key: bytes) -> None:
        self.app = app
        self._key = key

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Any: of ASGI."""
        if told := [value for name, value in scope.get("headers", ()) if name == HEADER]:
            headers = [each for each in scope["headers"] if each[0] != HEADER]
            scope = {**scope, "headers": headers} | self._client(told[0])
        await self.app(scope, receive, send)

    def _client(self, told: bytes) -> dict[str, tuple[str, int]]:
        address = told.partition(b" ")[0].decode("latin-1")
        genuine = bool(self._key) and hmac.compare_digest(told, introduction(self._key, address))
        return {"client": (address, 0)} if genuine else {}
