"""The page of an earlier revision stays for those who came before the next one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from spaces_workers.up.hosting import page
from spaces_workers.up.hosting.page import HostedPage
from spaces_workers.up.hosting.revision import Revision
from spaces_workers.up.keeper import Keeper
from spaces_workers.up.visits import latest_visits


def test_a_page_stays_while_visits_fall_between_the_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call by HTTP takes two connections; the page ended between them, with the answer."""
    monkeypatch.setattr(page, "UNVISITED", 1.0)
    monkeypatch.setattr(page, "INTERVAL", 0.05)
    asyncio.run(_is_visited_and_left())


async def _is_visited_and_left() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    earlier = HostedPage("earlier", cast(Revision, None), port, 0, "earlier")
    earlier.open(cast(Keeper, SimpleNamespace(answers=True)), asyncio.ensure_future(server.serve_forever()))
    leaving = asyncio.ensure_future(earlier.left_by_all())
    for _ in range(15):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        await asyncio.sleep(0.1)
    await leaving
    assert latest_visits([port])[port].ended_for >= page.UNVISITED
    server.close()
