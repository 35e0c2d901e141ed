"""Tells the front door at which port a Space's page listens: one small request for each of a visitor's.

`zerofarm up` answers on its own event loop, at a socket that only the farm's user can open, so the answer is always as
new as the Space is.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_unix_socket

from spaces.servers.uvicorn_servers import HEADER_BYTES
from spaces_workers.up.door.address import SPACES, Door, path_of_space
from spaces_workers.up.door.space_routes import ABOVE, CERTIFICATE, HOST, PORT
from spaces_workers.up.hosting.affinity import Request

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Space is."""

    port: int
    problem: str = ""  #: why it has no page, in one line
    moved_to: str = ""  #: the path or URL at which the operator's own proxy shows it instead


#: Of an answer: its status, its headers and its text.
_Answer: TypeAlias = tuple[int, dict[str, str], str]

#: The place of a Space by its name, for a request; None for one that the farm does not serve.
Places = Callable[[str, Request], Awaitable[Place | None]]


class Lookup:
    """Answers the door. Use it on the event loop's thread."""

    def __init__(self, places: Places, door: Door | None = None) -> None:
        self._places = places
        self._door = door  #: None: Spaces are at /spaces/NAME/ alone
        # Not an Application of Tornado: its routes and handlers take half of the time that a visitor would wait.
        self._server = HTTPServer(self._begin, max_header_size=HEADER_BYTES)
        self._answering: set[asyncio.Task[None]] = set()

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

    def _begin(self, request: HTTPServerRequest) -> None:
        answering = asyncio.ensure_future(self._answer(request))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _answer(self, request: HTTPServerRequest) -> None:
        try:
            answer = await self._found(request)
        except Exception:  # whatever it was, a visitor waits
            logger.exception("The front door could not be told where a Space is")
            answer = _saying(500, "The farm could not find this page. Its log says why.")
        _send(request, answer)

    async def _found(self, request: HTTPServerRequest) -> _Answer:
        if request.path == CERTIFICATE:
            return await self._may_have_certificate(
                request.query_arguments.get("domain", [b""])[0].decode(errors="replace")
            )
        asked = self._asked(request.headers)
        return self._answer_of(asked, await self._places(asked.name, asked.request))

    async def _may_have_certificate(self, host: str) -> _Answer:
        """Whether Caddy may get a certificate for this name: for Spaces alone, so that visitors cannot cause many."""
        name = self._space_at(host)
        if name and await self._places(name, Request("HEAD", "", "", "", "")):
            return 200, {}, ""
        return _saying(404, f"There is no Space at {host!r}.")

    def _asked(self, told: HTTPHeaders) -> _Asked:
        path, _, query = told.get("X-Forwarded-Uri", "").partition("?")
        host = told.get(HOST, "")
        name = self._space_at(host) if host else unquote(path.removeprefix(f"{SPACES}/").partition("/")[0])
        method, accept, cookies = (told.get(each, "") for each in ("X-Forwarded-Method", "Accept", "Cookie"))
        request = Request(method, path, query, accept, cookies)
        return _Asked(name, bool(host), request, request.loads_page or "Sec-Fetch-Mode" in told)

    def _space_at(self, host: str) -> str:
        return self._door.space_at(host) if self._door else ""

    def _answer_of(self, asked: _Asked, place: Place | None) -> _Answer:
        """X-Space-Port with 204; else the answer that the visitor gets."""
        name, door = asked.name, self._door
        match place:
            case None:
                return _saying(404, f"There is no Space {name!r} here." if name else "There is no such page.")
            case Place(moved_to=moved_to) if moved_to:
                above = door.url if door and asked.by_name and moved_to.startswith("/") else ""
                return 302, {"Location": f"{above}{moved_to}/"}, ""
            case Place() if door and door.has_name(name) and asked.is_of_browser and not asked.by_name:
                return 307, {"Location": f"{door.url_of_space(name)}{asked.below}"}, ""
            case Place(problem=problem) if problem:
                return _saying(503, f"Space {name} has no page: {problem}")
            case Place(port):
                return 204, {PORT: str(port), ABOVE: asked.above}, ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A visitor's request."""

    name: str  #: of the Space; empty: none is named
    by_name: bool  #: at NAME.DOMAIN, and not below /spaces/NAME
    request: Request
    is_of_browser: bool

    @property
    def above(self) -> str:
        """The prefix of the page's path that the request's path lacks; empty: it has it."""
        top, path = path_of_space(self.name), self.request.path
        return "" if path == top or path.startswith(f"{top}/") else top

    @property
    def below(self) -> str:
        """The path and query below the Space's own path."""
        path = self.request.path.removeprefix(path_of_space(self.name)) or "/"
        return f"{path}?{self.request.query}" if self.request.query else path


def _saying(status: int, text: str) -> _Answer:
    return status, {"Content-Type": "text/plain; charset=utf-8"}, f"{text}\n"


def _send(request: HTTPServerRequest, answer: _Answer) -> None:
    status, headers, text = answer
    body = text.encode()
    length = {} if status == 204 else {"Content-Length": str(len(body))}
    start = ResponseStartLine("HTTP/1.1", status, responses[status])
    connection = request.connection
    assert connection is not None
    with suppress(StreamClosedError):  # the door has given up
        connection.write_headers(start, HTTPHeaders(headers | length), body)
        connection.finish()
