"""Answers at a Space's port while no page is there: asks a browser to come again, and lets a program wait for the page.

A first request starts the Space, before others that wait for their start. Once a page listens, the porter passes on
what waits.
"""

from __future__ import annotations

import asyncio
import html
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from spaces.farm.queue import settings
from spaces.servers import introductions
from spaces_workers.up.page_port import PagePort

#: Seconds for a visitor to send the head of a request, and its longest.
HEAD_PATIENCE, HEAD_BYTES = 10.0, 65536

#: Seconds that a program may wait for the page.
PATIENCE = 300.0

#: Requests that may wait at once; more are asked to come again, as browsers are.
MOST_WAITING = 512

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<meta name="viewport" content="width=device-width"><title>{title}</title><style>
body{{font:16px system-ui,sans-serif;display:grid;place-content:center;min-height:90vh;text-align:center;color:#475569}}
h1{{font-size:1.4rem;color:#0f172a}}@media(prefers-color-scheme:dark){{body{{background:#0f172a;color:#94a3b8}}
h1{{color:#f1f5f9}}}}</style></head><body><h1>{title} {state}</h1><p>This page reloads by itself.</p></body></html>"""

_COME_AGAIN = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nRetry-After: 1\r\n"
    b"Cache-Control: no-store\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
)

_REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

#: A proxy of this host, such as the front door, tells who the visitor is; uvicorn believes this address too.
_TRUSTED = "127.0.0.1"

#: What others say of the sender is not believed, and nobody else introduces a visitor to the page.
_REPLACED = re.compile(rb"(?im)^(?:x-forwarded-[a-z]+|forwarded|x-real-ip):.*\r\n")
_OURS = re.compile(rb"(?im)^" + re.escape(introductions.HEADER) + rb":.*\r\n")
_AMBIGUOUS = re.compile(rb"(?<!\r)\n|\r(?!\n)|\r\n[ \t]")
_WEBSOCKET = re.compile(rb"(?im)^upgrade:[ \t]*websocket[ \t]*\r$")
_UPGRADE = re.compile(rb"(?im)^connection:(?:.*,)?[ \t]*upgrade[ \t]*(?:,.*)?\r$")
_CONNECTION = re.compile(rb"(?im)^(?:connection|keep-alive):.*\r\n")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A program's request."""

    head: bytes  #: and what came with it
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class Porter:
    """At one Space's port. Use it on the event loop's thread."""

    def __init__(self, port: PagePort, title: str) -> None:
        self._port = port
        self._title = title
        self._state = ""
        self._on_visit: Callable[[], None] = lambda: None
        self._answers = False
        self._page_answers = asyncio.Event()
        self.waiting = 0  #: requests of programs that wait for the page
        self._conversations: set[asyncio.Task[None]] = set()

    def begin(self, state: str, on_visit: Callable[[], None]) -> None:
        """Answer from now on until a page listens, or `end`. `state` follows the Space's title: `is starting`."""
        self._state, self._on_visit = state, on_visit
        self._page_answers.clear()
        self._port.listen()
        self._answers = True
        asyncio.get_running_loop().add_reader(self._port.fileno(), self._accept)

    @property
    def answers(self) -> bool:
        """Whether a visitor who comes now reaches the porter."""
        return self._answers and not self._port.is_taken

    def end(self) -> None:
        """Answer nobody else. Who waits goes on waiting for the page."""
        if self._answers:
            self._answers = False
            asyncio.get_running_loop().remove_reader(self._port.fileno())

    def pass_on(self) -> None:
        """The page answers: it gets the requests that wait."""
        self.end()
        self._page_answers.set()

    def close(self) -> None:
        """Turn away all who wait."""
        self.end()
        for each in self._conversations:
            each.cancel()

    def _accept(self) -> None:
        while not self._port.is_taken:
            try:
                visitor, address = self._port.accept()
            except OSError:  # nobody waits; or this process is out of descriptors, and the visitor goes on waiting
                return
            talk = asyncio.ensure_future(self._converse(visitor, address))
            self._conversations.add(talk)
            talk.add_done_callback(self._conversations.discard)
        self.end()

    async def _converse(self, visitor: socket.socket, address: str) -> None:
        reader, writer = await asyncio.open_connection(sock=visitor, limit=HEAD_BYTES)
        try:
            async with asyncio.timeout(HEAD_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            if not is_plain(head):
                writer.write(_REFUSED)
                return
            self._on_visit()
            if _is_of_browser(head) or self.waiting >= MOST_WAITING:
                writer.write(self._come_again())
                await writer.drain()
            else:
                await self._wait(_Waiting(_forwarded(head, address, self._port.key), reader, writer))
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it is no visitor, or has left
        finally:
            writer.close()

    async def _wait(self, request: _Waiting) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await self._page_answers.wait()
            await self._connect(request)
        finally:
            self.waiting -= 1

    async def _connect(self, request: _Waiting) -> None:
        reader, writer = await asyncio.open_connection(*self._port.local)
        try:
            writer.write(request.head)
            async with asyncio.TaskGroup() as both:
                sending = both.create_task(_copy(request.reader, writer))
                await _copy(reader, request.writer)
                sending.cancel()
        except* OSError:
            pass  # one of them has left
        finally:
            writer.close()

    def _come_again(self) -> bytes:
        body = _PAGE.format(title=html.escape(self._title), state=self._state).encode()
        return _COME_AGAIN % len(body) + body


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()


def _is_of_browser(head: bytes) -> bool:
    """Whether a person looks at the answer: a page was asked for."""
    first, _, headers = head.lower().partition(b"\r\n")
    accepted = re.search(rb"^accept:(.*)$", headers, re.MULTILINE)
    return first.startswith(b"get ") and accepted is not None and b"text/html" in accepted[1]


def is_plain(head: bytes) -> bool:
    """Whether all programs see the same lines in a head.

    Some also end a line at a lone CR or LF, and some read a line that begins with a blank as part of the one before.
    """
    return _AMBIGUOUS.search(head) is None


def _forwarded(head: bytes, address: str, key: bytes) -> bytes:
    """The head for the page. The connection is for one request: the next one of the sender reaches the page itself."""
    first, _, headers = head.partition(b"\r\n")
    headers = _OURS.sub(b"", headers)
    ours = introductions.HEADER + b": " + introductions.introduction(key, address) + b"\r\n"
    if not _is_proxy(address):  # pages that do not know our header read this one
        ours += f"X-Forwarded-For: {address}\r\n".encode()
        headers = _REPLACED.sub(b"", headers)
    # A page that does not upgrade, for whatever reason, closes the connection too.
    becomes_websocket = _WEBSOCKET.search(headers) and _UPGRADE.search(headers)
    ours += b"Connection: close, Upgrade\r\n" if becomes_websocket else b"Connection: close\r\n"
    headers = _CONNECTION.sub(b"", headers)
    return first + b"\r\n" + ours + headers


def _is_proxy(address: str) -> bool:
    """Whether the page believes whom this sender names, if the page is set to believe anybody."""
    proxies = settings.current().quota.trusted_proxies
    return address == _TRUSTED or any(ip_address(address) in ip_network(each, strict=False) for each in proxies)
