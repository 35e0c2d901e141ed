"""When a page counts as served."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from spaces_workers.up import readiness


@contextmanager
def answering(statuses: dict[str, int]) -> Iterator[int]:
    """A server that answers these paths so, and no others; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("statuses", "is_served"),
    [
        ({"/config": 200, "/": 200}, True),
        ({"/config": 401}, True),
        ({"/config": 502, "/": 200}, False),
        ({"/": 200}, True),
        ({"/": 500}, False),
        ({"/ui/config": 200}, True),
    ],
)
def test_a_page_is_served_where_it_answers(statuses: dict[str, int], is_served: bool) -> None:
    with answering(statuses) as port:
        assert asyncio.run(_answers(readiness.page("127.0.0.1", port, "/config", "/"))) is is_served


async def _answers(probe: readiness.Probe) -> bool:
    return await probe()
