"""Refuses requests that a browser was tricked into sending: the page of another site asks a name of its own.

Such a site can let its name point to this host, and then read the answers (DNS rebinding). It cannot change the name
that the browser sends. So a request must name this host: by an address, as `localhost`, or by one of its known names.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

#: Requests for other paths get nothing that is not the same for everybody.
GUARDED = ("/api/", "/metrics", "/farm")

MISDIRECTED = 421


class KnownHosts:
    """Middleware that answers requests to the API only if they name this host."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app = app
        self._names = {"localhost", *own_names(), *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp | Response = self._app
        if scope["type"] == "http" and scope["path"].startswith(GUARDED):
            name = named_host(Request(scope).headers.get("host", ""))
            if not self._is_known(name):
                answer = _refusal(name)
        await answer(scope, receive, send)

    def _is_known(self, name: str) -> bool:
        try:
            ip_address(name)
        except ValueError:
            return name in self._names
        return True


def named_host(header: str) -> str:
    """The name or address in a Host header, without its port; empty for a malformed one."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def own_names() -> set[str]:
    """The names that this host has for itself."""
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], socket.getfqdn().lower()}


def _refusal(name: str) -> JSONResponse:
    problem = f'This farm is not named {name!r}. If it is, add hosts = ["{name}"] to [home] in farm.toml'
    return JSONResponse({"problem": problem}, status_code=MISDIRECTED)
