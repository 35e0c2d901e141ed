"""Whatever visitors send to a Space that sleeps, or ask the front door for: nothing fails, and no address is forged."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import h11
import httpx
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from spaces.servers import page_address
from spaces_workers.up import porter as porter_module
from spaces_workers.up.door.lookup import Lookup, Place
from spaces_workers.up.hosting.affinity import Request
from spaces_workers.up.page_port import PagePort
from spaces_workers.up.porter import Porter, is_plain
from tests.unit.test_fuzzing import bounded_memory, damaged
from tests.waiting import PATIENCE

HEADS = [
    b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    b"POST /gradio_api/call/f HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nx-real-ip: 1.2.3.4\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX-Other: 1\nX-Forwarded-For: 1.2.3.4\nX-Last: 2\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: other\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nForwarded: a\r\n , 1.2.3.4\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.0\r\nX-Real-Ip: 1.2.3.4\r\n\r\n",
]

#: The header by which a page is told who visits it, as h11 reads it; uvicorn uses h11.
TOLD = {b"x-forwarded-for", b"x-real-ip", b"forwarded"}

fuzzed = settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
heads = damaged(st.sampled_from(HEADS)) | st.binary(max_size=300)


@fuzzed
@given(heads)
@example(HEADS[4])  # a second request on a connection that stays open, because it seems to become another protocol's
@example(HEADS[6])  # the same, where the page goes on with HTTP because `Connection` does not ask for another protocol
@example(HEADS[6].replace(b"\r\nUpgrade", b"\r\nConnection: upgrade\r\nConnection: keep-alive\r\nUpgrade"))
@example(HEADS[5])  # a line that continues one which the porter takes out, and then one of its own
def test_no_request_makes_a_page_believe_a_forged_address(data: bytes) -> None:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end or not is_plain(head + end):
        return
    page = h11.Connection(h11.SERVER)
    page.receive_data(porter_module._forwarded(head + end, "10.0.0.9", b"key") + rest)
    with bounded_memory(), suppress(h11.RemoteProtocolError):
        for request in _requests(page):
            told = [(name, value) for name, value in request.headers if name in TOLD]
            assert told == [(b"x-forwarded-for", b"10.0.0.9")]


def _requests(page: h11.Connection) -> Iterator[h11.Request]:
    """All that a page answers on one connection."""
    while True:
        event = page.next_event()
        if isinstance(event, h11.Request):
            yield event
        elif isinstance(event, h11.EndOfMessage):
            page.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            page.send(h11.EndOfMessage())
            if page.our_state is not h11.DONE:
                return
            page.start_next_cycle()
        elif not isinstance(event, h11.Data):
            return


@contextmanager
def running_loop() -> Iterator[tuple[asyncio.AbstractEventLoop, list[object]]]:
    """An event loop on a thread, and the errors that nobody has caught in it."""
    loop, errors = asyncio.new_event_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: errors.append(context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop, errors
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def at_a_sleeping_space() -> Iterator[int]:
    """The port of a Space that sleeps. Fails if something that a visitor sent was an error of the porter."""
    port = PagePort("127.0.0.1", page_address.free_port("127.0.0.1"))
    porter = Porter(port, "Digits")
    with running_loop() as (loop, errors):
        asyncio.run_coroutine_threadsafe(_begin(porter), loop).result()
        yield port.number
        asyncio.run_coroutine_threadsafe(_close(porter), loop).result()
    port.close()
    assert errors == []


async def _begin(porter: Porter) -> None:
    porter.begin("is waking up", lambda: None)


async def _close(porter: Porter) -> None:
    conversations = [*porter._conversations]
    porter.close()
    await asyncio.gather(*conversations, return_exceptions=True)


@fuzzed
@given(heads)
def test_after_whatever_a_visitor_has_sent_the_porter_answers_the_next_one(
    at_a_sleeping_space: int, data: bytes
) -> None:
    with bounded_memory():
        with socket.create_connection(("127.0.0.1", at_a_sleeping_space), timeout=30) as visitor, suppress(OSError):
            visitor.sendall(data)
        answer = _asked(("127.0.0.1", at_a_sleeping_space), HEADS[0])
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Digits is waking up" in answer


@pytest.mark.parametrize("head", [HEADS[3], HEADS[5]])
def test_a_request_that_some_programs_read_otherwise_is_refused(at_a_sleeping_space: int, head: bytes) -> None:
    """A page would have read a line more than the porter, or a longer one, and believed the address in it."""
    assert _asked(("127.0.0.1", at_a_sleeping_space), head).startswith(b"HTTP/1.1 400 ")


def _asked(address: tuple[str, int] | str, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as asking:
        asking.settimeout(PATIENCE)
        asking.connect(address)
        asking.sendall(request)
        asking.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: asking.recv(65536), b""))


@pytest.fixture(scope="module")
def lookup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the front door asks for Spaces."""
    path = tmp_path_factory.mktemp("door") / "lookup.sock"
    places = {"digits": Place(7861), "broken": Place(7862, "no luck"), "moved": Place(7863, moved_to="/other")}
    with running_loop() as (loop, errors):
        asyncio.run_coroutine_threadsafe(_listen(places, path), loop).result()
        yield str(path)
    assert errors == []


async def _listen(places: dict[str, Place], path: Path) -> None:
    async def place(name: str, _: Request) -> Place | None:
        if name == "faulty":
            raise RuntimeError("not today")
        return places.get(name)

    Lookup(place).start(path)


@fuzzed
@given(damaged(st.sampled_from([b"/spaces/digits/?a=b", b"/spaces/%64igits", b"/spaces/broken/x", b"/spaces/moved"])))
def test_the_door_hears_of_no_space_that_was_not_asked_for(lookup: str, uri: bytes) -> None:
    assume(b"\n" not in uri and b"\r" not in uri)  # Caddy sends one header, whatever the visitor asked for
    with bounded_memory():
        answer = _asked(lookup, b"GET /lookup HTTP/1.0\r\nHost: a\r\nX-Forwarded-Uri: %s\r\n\r\n" % uri)
    status = int(answer.split(b" ", 2)[1]) if answer else 400  # no HTTP: it was disconnected
    assert status in (204, 302, 400, 404, 503)
    assert (b"X-Space-Port: 7861" in answer) == (status == 204)


def test_the_door_gets_an_answer_also_if_the_farm_fails_to_find_a_space(lookup: str) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=lookup)) as door:
        answer = door.get("http://farm/lookup", headers={"X-Forwarded-Uri": "/spaces/faulty/"})
        assert (answer.status_code, answer.text) == (500, "The farm could not find this page. Its log says why.\n")
        assert door.get("http://farm/lookup", headers={"X-Forwarded-Uri": "/spaces/digits/"}).status_code == 204
