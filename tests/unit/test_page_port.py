"""A page's port outlives the page: nobody is refused, and nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from spaces.servers import fixed_ports, page_address, page_socket
from spaces_workers.up.page_port import PagePort
from spaces_workers.up.porter import Porter
from spaces_workers.up.visits import Visits, latest_visits
from tests.waiting import PATIENCE


@pytest.fixture
def port() -> Iterator[PagePort]:
    made = PagePort("127.0.0.1", page_address.free_port("127.0.0.1"))
    yield made
    made.close()


@pytest.fixture
def of_page(port: PagePort, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is a page that has inherited the port."""
    monkeypatch.setattr(socket.socket, "bind", socket.socket.bind)  # what `watch` replaces is put back
    monkeypatch.setattr(page_socket, "_given", None)
    fixed_ports.watch(lambda: False)
    page_socket.inherit(os.dup(port.fileno()))
    yield
    assert page_socket._given is not None
    page_socket._given.close()


class Tells(BaseHTTPRequestHandler):
    """A page that tells what it was asked for, and by whom."""

    def do_GET(self) -> None:
        body = f"{self.path} for {self.headers.get('X-Forwarded-For')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def asked(port: int, path: str = "/", source: str = "127.0.0.1", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.usefixtures("of_page")
def test_a_page_listens_by_the_socket_that_outlives_it(port: PagePort) -> None:
    assert not port.is_taken
    with HTTPServer(("127.0.0.1", port.number), Tells):
        assert port.is_taken
    with socket.create_connection(("127.0.0.1", port.number), timeout=5):  # nobody serves, and nobody is refused
        pass


@pytest.mark.usefixtures("of_page")
def test_two_servers_of_a_page_do_not_share_a_port(port: PagePort) -> None:
    with HTTPServer(("127.0.0.1", port.number), Tells), pytest.raises(OSError, match="in use"):
        HTTPServer(("127.0.0.1", port.number), Tells)


def test_a_server_that_cannot_inherit_gets_the_port_all_the_same(port: PagePort) -> None:
    with HTTPServer(("127.0.0.1", port.number), Tells):
        assert not port.is_taken


@pytest.mark.parametrize("first", ["the page", "its visitor"])
def test_a_visit_is_remembered_whoever_has_ended_it(port: PagePort, first: str) -> None:
    port.listen()
    with socket.create_connection(("127.0.0.1", port.number), timeout=5) as visitor, port.accept()[0] as page:
        assert latest_visits([port.number, 1]) == {port.number: Visits(1, 0.0), 1: Visits()}
        (page if first == "the page" else visitor).close()
    ended = latest_visits([port.number])[port.number]
    assert ended.connections == 0
    assert 0 <= ended.ended_for < 60


def test_a_shut_port_refuses_nobody(port: PagePort) -> None:
    port.listen()
    with socket.create_connection(("127.0.0.1", port.number), timeout=5) as before:
        port.shut()
        assert latest_visits([port.number])[port.number].connections == 1
        before.sendall(b"x")
        with port.accept()[0] as visitor:
            assert visitor.recv(1) == b"x"
        with ThreadPoolExecutor() as threads:
            late = threads.submit(socket.create_connection, ("127.0.0.1", port.number), 30)
            with pytest.raises(TimeoutError):
                late.result(0.3)
            port.open()
            late.result(PATIENCE).close()


@pytest.mark.usefixtures("of_page")
def test_a_program_waits_for_the_page_and_a_browser_is_asked_to_come_again(port: PagePort) -> None:
    async def story() -> None:
        come = asyncio.Event()
        porter = Porter(port, "A <b>Space</b>")
        porter.begin("is starting", come.set)
        status, text = await asyncio.to_thread(asked, port.number, Accept="text/html")
        assert status == 503
        assert "A &lt;b&gt;Space&lt;/b&gt; is starting" in text
        assert 'http-equiv="refresh"' in text
        async with asyncio.timeout(10):
            await come.wait()
        ask = partial(asked, port.number, "/config", **{"X-Forwarded-For": "1.2.3.4", "Accept": "*/*"})
        sources = ("127.0.0.1", "127.0.0.2")  # the front door, and somebody else
        waiting = [asyncio.ensure_future(asyncio.to_thread(ask, source=source)) for source in sources]
        while porter.waiting < len(waiting):
            await asyncio.sleep(0.01)
        with HTTPServer(("127.0.0.1", port.number), Tells) as page:
            threading.Thread(target=page.serve_forever).start()
            assert not porter.answers
            porter.pass_on()
            assert await waiting[0] == (200, "/config for 1.2.3.4")
            assert await waiting[1] == (200, "/config for 127.0.0.2")
            assert await asyncio.to_thread(asked, port.number, "/next") == (200, "/next for None")
            page.shutdown()
        porter.close()

    asyncio.run(story())
