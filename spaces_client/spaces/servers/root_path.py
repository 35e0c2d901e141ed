"""An app of the Space's own below the path at which the operator's reverse proxy shows it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]  # Any: of ASGI, as of every other that has its types
Asgi = Callable[[Scope, Any, Any], Awaitable[None]]


def below(app: Asgi, root_path: str) -> Asgi:
    """The app, for requests whose paths begin with `root_path`, and for those from which a proxy has removed it.

    A path contains the root path, as ASGI wants it
    (https://asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope).
    """

    async def app_below(scope: Scope, receive: Any, send: Any) -> None:
        if "path" in scope:
            scope = {**scope, "root_path": root_path, "path": _with(root_path, scope["path"])}
        await app(scope, receive, send)

    return app_below


def _with(root_path: str, path: str) -> str:
    return path if path == root_path or path.startswith(f"{root_path}/") else root_path + path
