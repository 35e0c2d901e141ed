"""The bundled demos as `make up` serves them: by API, in Chromium, and as Flower sees their tasks."""

from __future__ import annotations

import base64
import itertools
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from spaces.farm.connection import connect
from spaces.farm.page_addresses import Page as Page_
from spaces.farm.page_addresses import pages_path, read_pages
from spaces.farm.queue.queue import Queue
from spaces.farm.queue.status import StatusReader
from tests.end_to_end.browsers import chromium, window
from tests.end_to_end.proxies import plain
from tests.end_to_end.test_up import Up
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A farm with the three demos and Flower."""
    folder = tmp_path_factory.mktemp("demos")
    (folder / "state").mkdir()
    (folder / "state" / "farm.toml").write_text('[spaces.digits]\nroot_path = "/of/digits"\n')
    up = Up(folder, "--gpus", "none", "--flower-port", "0")
    up.ready()
    yield up
    up.process.terminate()
    assert up.process.wait(PATIENCE) == 0
    wait_until(lambda: not up.left())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab without cookies or routes of the tests before."""
    with window(browser, viewport={"width": 1280, "height": 900}) as context:
        yield context.new_page()


def test_digits_draws(up: Up) -> None:
    drawings, seed = up.client("digits").predict(7, 2, 8, 2, 1, False, api_name="/generate")
    assert len(drawings) == 2
    assert seed == 1
    with Image.open(drawings[0]["image"]) as image:
        shades = len(set(image.convert("L").tobytes()))
    assert shades > 50  # there is something on the paper


def test_names_streams_letters(up: Up) -> None:
    job = up.client("names").submit("feminine", "Ann", 3, 0.8, api_name="/generate")
    parts = list(job)
    assert len(parts) > 5
    assert all(later.startswith(earlier[:3]) for earlier, later in itertools.pairwise(parts))
    assert parts[-1].startswith("Ann")


def test_search_ranks_sensibly(up: Up) -> None:
    found = up.client("search").predict("Why does bread get holes?", api_name="/search")
    best = dict(zip(found["headers"], found["data"][0], strict=True))
    assert best["Rank"] == 1
    assert "yeast" in best["Passage"].lower() or "dough" in best["Passage"].lower()


def test_flower_shows_the_tasks_by_name(up: Up) -> None:
    up.client("names").predict("surname", "Mc", 1, 0.8, api_name="/generate")

    def names() -> set[tuple[str, str]]:
        return {(task["name"], task["state"]) for task in flower(up, "/api/tasks").values()}

    wait_until(lambda: ("names.generate", "SUCCESS") in names())


def test_a_visitor_draws_a_digit_in_a_browser(up: Up, page: Page, tmp_path: Path) -> None:
    page.goto(up.ready()["spaces"]["digits"])
    page.get_by_label("5", exact=True).check()
    page.get_by_role("button", name="Draw").click()
    image = page.locator("img[src*='/file=']").first
    expect(image).to_be_visible()
    wait_until(lambda: image.evaluate("image => image.naturalWidth") > 0)
    page.screenshot(path=tmp_path / "digits.png")


def test_a_visitor_watches_names_being_written_in_a_browser(up: Up, page: Page, tmp_path: Path) -> None:
    page.goto(up.ready()["spaces"]["names"])
    page.get_by_role("button", name="Invent").click()
    box = page.get_by_label("Names")
    wait_until(lambda: len(box.input_value()) > 10)
    page.screenshot(path=tmp_path / "names.png")


def test_the_home_page_links_to_every_space(up: Up, page: Page, tmp_path: Path) -> None:
    ready = up.ready()
    page.goto(ready["home"])
    for url in ready["spaces"].values():
        expect(page.locator(f"a[href^='{url}']").first).to_be_visible()
    expect(page.locator("#flower")).to_be_visible()
    page.screenshot(path=tmp_path / "home.png")


CARDS = {
    "drawn": ("A", "An emoji that every font has", "A"),
    "missing": ("\U0010ffff", "", "T"),
    "without": ("", "", "T"),
}


def test_the_cards_of_the_home_page_tell_what_a_space_is_and_how_it_is(up: Up, page: Page, tmp_path: Path) -> None:
    """Two of the three demos showed an empty box in place of their emoji, and all of them names of functions."""
    queue = Queue(connect((up.state_dir / "broker.url").read_text()))
    found = StatusReader(queue).read(read_pages(pages_path(up.state_dir)))
    digits = next(space for space in found.spaces if space.name == "digits")
    assert digits.page is not None
    digits = replace(digits, page=replace(digits.page, warmth="ready"), expected_wait=0.0)
    assert digits.page is not None
    assert digits.page.description == "Handwritten digits from a small diffusion model"
    cards = [
        replace(digits, name=name, page=replace(digits.page, title="Title", emoji=emoji, description=words))
        for name, (emoji, words, _) in CARDS.items()
    ]
    problem = "KeyError: 'x' (app.py, line 3)"
    failed = replace(digits, name="failed", page=Page_("", "failed", "Failed", problem=problem))
    starting = replace(digits, name="starting", page=Page_("", "starting", "Starting", importing="torch"))
    waiting = replace(digits, name="waiting", expected_wait=90.0)
    gone = replace(digits, name="gone", page=None)
    shown = asdict(replace(found, spaces=(*cards, failed, starting, waiting, gone)))
    page.route("**/api/status", lambda route: route.fulfill(json=shown))
    page.goto(up.ready()["home"])
    for name, (_, words, cover) in CARDS.items():
        card = page.locator(f"li[data-key='{name}']")
        expect(card.locator(".emoji")).to_have_text(cover)
        expect(card.locator(".words")).to_have_text(words or "generate")
        expect(card.locator(".pill")).to_have_text("ready")
        expect(card.locator(".wait")).to_have_text("no wait")
    expect(page.locator("li[data-key='failed'] .pill")).to_have_text("failed")
    expect(page.locator("li[data-key='failed'] .words")).to_have_text(problem)
    expect(page.locator("li[data-key='starting'] .pill")).to_have_text("imports torch")
    expect(page.locator("li[data-key='waiting'] .wait")).to_have_text("wait about 90 s")
    expect(page.locator("li[data-key='gone'] .pill")).to_have_text("no page here")


def test_the_home_page_behind_a_proxy_links_to_the_paths_of_the_proxy(up: Up, page: Page, tmp_path: Path) -> None:
    """Its files and its links were sought at the root of the proxy: 404, and no Space was reached."""
    home = int(up.ready()["home"].rstrip("/").rpartition(":")[2])
    with plain(tmp_path, home, "/farm", strips=True) as front:
        page.goto(f"http://127.0.0.1:{front}/farm/")
        expect(page.locator("a[href='/of/digits/']")).to_be_visible()
        expect(page.locator(f"a[href='http://127.0.0.1:{front}/farm/spaces/names/']")).to_be_visible()
        assert page.locator("img.logo").evaluate("image => image.naturalWidth") > 0


def flower(up: Up, path: str) -> Any:
    """What Flower's API answers."""
    ready = up.ready()
    login = base64.b64encode(Path(ready["flower_login_file"]).read_bytes()).decode()
    request = urllib.request.Request(f"{ready['flower']}{path}", headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.load(answer)
