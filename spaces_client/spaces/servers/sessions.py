"""Lets open pages finish on the revision that they began with, while a later one serves new visitors.

A page of Gradio tells browsers its own name in a cookie, and the farm's front door which calls it has begun. Gradio is
never imported here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, MutableMapping
from types import ModuleType
from typing import Any, TypeAlias

from spaces import config
from spaces.servers import page_address

#: The cookie that names a page.
COOKIE = "zerofarm-page"

#: Below a page's root: whether it has begun a call, by the session or the event that names it. 204 or 404.
KNOWS = "/zerofarm/knows/"

Message: TypeAlias = MutableMapping[str, Any]  # Any: ASGI's
Send: TypeAlias = Callable[[Message], Awaitable[None]]


def watch(routes: ModuleType) -> None:
    """Serve every page of Gradio so; for `gradio.routes`. Has no effect where pages have no names."""
    name = os.environ.get(config.PAGE, "")
    if not name:
        return
    original = routes.App.create_app

    @functools.wraps(original)
    def create_app(blocks: Any, *args: Any, **kwargs: Any) -> Any:  # Any: Gradio's own, of any version
        app = original(blocks, *args, **kwargs)
        app.add_middleware(Sessions, blocks=blocks, name=name)
        return app

    routes.App.create_app = staticmethod(create_app)


class Sessions:
    """An ASGI app around that of a page."""

    def __init__(self, app: Any, blocks: Any, name: str) -> None:  # Any: an ASGI app; gradio's Blocks
        self._app = app
        self._blocks = blocks
        self._cookie = f"{COOKIE}={name}; Path={page_address.root_path() or '/'}; SameSite=Lax; HttpOnly".encode()

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        if scope["type"] == "http" and KNOWS in scope["path"]:
            status = 204 if self._knows(scope["path"].rpartition("/")[2]) else 404
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        is_page = scope["type"] == "http" and scope["method"] == "GET"
        await self._app(scope, receive, self._naming(send) if is_page else send)

    def _knows(self, name: str) -> bool:
        queue = self._blocks._queue
        return name in queue.pending_messages_per_session or name in getattr(queue, "event_ids_to_events", ())

    def _naming(self, send: Send) -> Send:
        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_html(message):
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", self._cookie)]
            await send(message)

        return send_named


def _is_html(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in message.get("headers", ()))
