"""A plain generator that a route streams ends with its stream, not at the next garbage collection."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import starlette.responses
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.routing import Route

import spaces
from spaces.farm.task import State
from spaces.servers import streamed_generators
from spaces.testing import InMemoryFarm
from spaces_workers.setup.ports import Ports
from tests.unit.test_launch import launched
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(starlette.responses, "iterate_in_threadpool", iterate_in_threadpool)
    streamed_generators.watch(starlette.responses)
    gc.disable()
    yield
    gc.enable()


def test_a_streamed_task_is_cancelled_when_its_client_leaves() -> None:
    """Starlette alone left the generator to the garbage collector, and its task ran on."""
    with InMemoryFarm() as farm:

        @spaces.GPU
        def count() -> Iterator[str]:
            number = 0
            while True:
                yield f"{number}\n"
                number += 1

        with _served(count) as port, socket.create_connection(("127.0.0.1", port)) as client:
            _read_until(client, b"2\n")
            client.close()
            wait_until(lambda: farm.state(farm.tasks[0]) is State.CANCELLED)


def test_a_stream_that_is_read_to_its_end_is_whole() -> None:
    ended = threading.Event()

    def words() -> Iterator[str]:
        try:
            yield from ("first\n", "second\n")
        finally:
            ended.set()

    with _served(words) as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert b"first\n" in _read_until(client, b"0\r\n\r\n")
        assert ended.wait(30)


LEFT = """
import importlib

import anyio
import spaces

@spaces.GPU
def f(): pass

def words():
    try:
        yield "first"
        yield "second"
    finally:
        print(name)

async def leave():
    stream = importlib.import_module(name).iterate_in_threadpool(kept)
    await anext(stream)
    await stream.aclose()

for name in ("starlette.responses", "fastapi.routing", "sse_starlette.sse"):
    kept = words()
    anyio.run(leave)
    print("then")
"""


def test_a_page_closes_what_each_library_streams(tmp_path: Path) -> None:
    """Each has its own name for starlette's function; the generators are kept, so nothing else closes them."""
    lines = launched(tmp_path, LEFT, "127.0.0.1", Ports("127.0.0.1").after(0)).stdout.split()
    assert lines == ["starlette.responses", "then", "fastapi.routing", "then", "sse_starlette.sse", "then"]


@contextmanager
def _served(generator: Callable[[], Any]) -> Iterator[int]:  # Any: a generator of text
    """The port of a server whose only page is what `generator` yields."""

    async def respond(_: Request) -> starlette.responses.Response:
        return starlette.responses.StreamingResponse(generator())

    app = Starlette(routes=[Route("/", respond)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def _read_until(client: socket.socket, last: bytes) -> bytes:
    client.settimeout(30)
    client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    got = b""
    while last not in got:
        got += client.recv(1000)
    return got
