"""Tells the front door at which port a Space's page listens: one small request for each of a visitor's.

`zerofarm up` answers on its own event loop, at a socket that only the farm's user can open, so the answer is always as
new as the Space is.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

from spaces.servers.uvicorn_servers import HEADER_BYTES
from spaces_workers.up.door.address import SPACES
from spaces_workers.up.hosting.affinity import Request


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Space is."""

    port: int
    problem: str = ""  #: why it has no page, in one line
    moved_to: str = ""  #: the path or URL at which the operator's own proxy shows it instead


#: The place of a Space by its name, for a request; None for one that the farm does not serve.
Places = Callable[[str, Request], Awaitable[Place | None]]


class Lookup:
    """Answers the door. Use it on the event loop's thread."""

    def __init__(self, places: Places) -> None:
        logging.getLogger("tornado.access").setLevel(logging.ERROR)  # a missing Space is no warning of ours
        application = Application([(r"/lookup", _Answer, {"places": places})])
        self._server = HTTPServer(application, max_header_size=HEADER_BYTES)

    def start(self, path: Path) -> None:
        """Listen at a unix socket. Raises OSError."""
        before = os.umask(0o177)
        try:
            self._server.add_socket(bind_unix_socket(str(path), mode=0o600))
        finally:
            os.umask(before)

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.stop()


class _Answer(RequestHandler):
    def initialize(self, places: Places) -> None:
        self._places = places

    async def get(self) -> None:
        """X-Space-Port with 204; else the answer that the visitor gets."""
        told = self.request.headers
        path, _, query = told.get("X-Forwarded-Uri", "").partition("?")
        name = unquote(path.removeprefix(f"{SPACES}/").partition("/")[0])
        method, accept, cookies = (told.get(each, "") for each in ("X-Forwarded-Method", "Accept", "Cookie"))
        match await self._places(name, Request(method, path, query, accept, cookies)):
            case None:
                self._say(404, f"There is no Space {name!r} here." if name else "There is no such page.")
            case Place(moved_to=moved_to) if moved_to:
                self.redirect(f"{moved_to}/", status=302)
            case Place(problem=problem) if problem:
                self._say(503, f"Space {name} has no page: {problem}")
            case Place(port):
                self.set_status(204)
                self.set_header("X-Space-Port", str(port))

    def _say(self, status: int, text: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{text}\n")
