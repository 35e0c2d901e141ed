"""Chooses the page that a request goes to, while an earlier revision still has visitors.

Whoever loads the page gets the one that serves. Requests of an open page go where it came from: a cookie says so. A
program has none; the second request of a call names the call, and the page that has begun it is asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from spaces.servers.sessions import COOKIE, KNOWS
from spaces_workers.setup.ports import INSIDE
from spaces_workers.up import readiness
from spaces_workers.up.hosting.page import HostedPage

#: Seconds to wait for an earlier page's answer.
PATIENCE = 2.0

_CALL = re.compile(r"/call/[^/]+/([\w-]+)$")
_PAGE = re.compile(rf"(?:^|;)\s*{COOKIE}=([^;\s]+)")
_SESSION = re.compile(r"(?:^|&)session_hash=([\w-]+)")


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as the front door tells of it."""

    method: str
    path: str
    query: str
    accept: str
    cookies: str

    @property
    def loads_page(self) -> bool:
        """Whether a browser opens the page, or opens it anew."""
        return self.method == "GET" and "text/html" in self.accept

    @property
    def page(self) -> str:
        """The page that it came from; empty: none is named."""
        found = _PAGE.search(self.cookies)  # Python's own reader stops at a cookie that it does not like
        return found[1] if found else ""

    @property
    def call(self) -> str:
        """The name of the call whose events it asks for; empty: it begins one, or is something else."""
        if self.method != "GET":
            return ""
        found = _CALL.search(self.path)
        if found is None and self.path.endswith("/queue/data"):
            found = _SESSION.search(self.query)
        return found[1] if found else ""


async def page_for(request: Request, current: HostedPage, earlier: Sequence[HostedPage]) -> HostedPage:
    """The page that a request goes to."""
    alive = [page for page in earlier if page.keeper is not None and page.keeper.answers]
    if not alive or request.loads_page:
        return current
    for page in alive:
        if page.name == request.page:
            return page
    if call := request.call:
        for page in alive:
            if await _knows(page, call):
                return page
    return current


async def _knows(page: HostedPage, call: str) -> bool:
    with suppress(OSError, ValueError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            return await readiness.status_of(INSIDE, page.port, f"{page.root_path}{KNOWS}{call}") == 204
    return False
