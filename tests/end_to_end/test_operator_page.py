"""The operator's page in Chromium: it shows a task waiting, running and done without a reload, and it acts."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from spaces.errors import TaskCancelled
from spaces.farm.page_addresses import Page as SpacePage
from spaces.farm.page_addresses import Pages, pages_path
from spaces.farm.queue.control.audit import Audit
from spaces.farm.queue.control.controls import drained, pinned, terms
from spaces.farm.task import State
from spaces_workers.setup.operators import keep_operators, login_path, set_account
from tests.end_to_end.browsers import chromium, window
from tests.harness import SPACES, Farm, configured_farm, free_port
from tests.waiting import PATIENCE, wait_until

#: The home page names the operator's visitors only by a part of their names.
SETTINGS = """
[quota]
enabled = true

[privacy]
visitors = "short"

[spaces.streaming]
pin = true
"""


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    """A farm with one worker, the Space of faults, and the accounts of two operators."""
    with configured_farm(tmp_path_factory.mktemp("operator"), SETTINGS) as made:
        keep_operators(made.state_dir)
        set_account(made.state_dir, "vera", "a password", "viewer")
        made.register()
        made.start_worker()
        yield made


@pytest.fixture(scope="module")
def address(farm: Farm) -> Iterator[str]:
    """The address of the home page."""
    (farm.state_dir / "logs").mkdir(exist_ok=True)
    (farm.state_dir / "logs" / "web-faults.log").write_text("the first line\n")
    Pages(spaces={"faults": SpacePage("", "serving")}).write(pages_path(farm.state_dir))
    port = free_port()
    command = [sys.executable, "-m", "spaces_app.home", "--port", str(port), "--state-dir", str(farm.state_dir)]
    with (farm.folder / "home.log").open("wb") as log:
        home = subprocess.Popen(command, env=os.environ | {"ZEROFARM_URL": farm.broker.url}, stdout=log, stderr=log)
    wait_until(lambda: _listens(port))
    yield f"http://127.0.0.1:{port}"
    home.terminate()
    home.wait(PATIENCE)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def person(browser: Browser) -> Iterator[BrowserContext]:
    """Somebody whose browser knows nothing of the farm."""
    with window(browser, viewport={"width": 1200, "height": 900}) as context:
        yield context


def logged_in(person: BrowserContext, address: str, name: str, password: str) -> Page:
    page = person.new_page()
    page.goto(f"{address}/farm")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#live")).to_have_text("Live")
    return page


@pytest.fixture(scope="module")
def page(browser: Browser, address: str, farm: Farm) -> Iterator[Page]:
    """The page of the first operator, which no test loads again."""
    name, _, password = login_path(farm.state_dir).read_text().partition(":")
    with window(browser, viewport={"width": 1200, "height": 900}) as context:
        yield logged_in(context, address, name, password)


def row(page: Page, part: str, key: str) -> Locator:
    return page.locator(f'#{part} [data-key="{key}"]')


def test_a_task_is_shown_waiting_running_and_done_without_a_reload(farm: Farm, page: Page, tmp_path: Path) -> None:
    loaded, ends = page.evaluate("performance.timeOrigin"), [tmp_path / name for name in ("first", "second")]
    with farm.client() as client:
        first, second = (client.submit("faults", "reversed_when", str(end), "ab") for end in ends)
        wait_until(lambda: first.state == State.RUNNING)
        expect(row(page, "queue", first.id).locator(".pill")).to_have_text("running")
        waiting = row(page, "queue", second.id)
        expect(waiting.locator(".pill")).to_have_text("waiting")
        expect(waiting.locator(".place")).to_have_text("1.")
        expect(waiting.locator(".facts")).to_contain_text("estimate")
        expect(page.locator("#gpus .work")).to_contain_text("runs faults.reversed_when")
        ends[0].touch()
        first.result(timeout=PATIENCE)
        expect(waiting.locator(".pill")).to_have_text("running")
        ends[1].touch()
        second.result(timeout=PATIENCE)
    ended = row(page, "history", second.id)
    expect(ended.locator(".pill")).to_have_text("succeeded")
    expect(ended.locator(".facts")).to_contain_text(re.compile(r"ran \d"))
    assert page.evaluate("performance.timeOrigin") == loaded


def test_a_waiting_task_is_cancelled_from_the_page(farm: Farm, page: Page) -> None:
    with farm.client() as client:
        running = client.submit("faults", "nap", 600.0)
        waiting = client.submit("faults", "nap", 600.0)
        for task in (waiting, running):
            row(page, "queue", task.id).get_by_role("button", name="Cancel").click()
            with pytest.raises(TaskCancelled, match="cancelled by the operator"):
                task.result(timeout=PATIENCE)
    expect(row(page, "history", running.id).locator(".error")).to_contain_text("operator on the operator's page")
    assert [(each.verb, each.target) for each in Audit(farm.redis).latest(2)] == [
        ("cancel", running.id),
        ("cancel", waiting.id),
    ]


def test_a_space_is_paused_and_resumed_from_the_page(farm: Farm, page: Page) -> None:
    space = row(page, "spaces", "faults")
    space.get_by_role("button", name="Pause").click()
    expect(space.locator(".pill")).to_have_text("paused")
    assert terms(farm.queue)["faults"].paused
    with farm.client() as client:
        task = client.submit("faults", "add", 1, 2)
        expect(space.locator(".facts")).to_contain_text("1 waiting")
        space.get_by_role("button", name="Resume").click()
        assert task.result(timeout=PATIENCE) == 3
    expect(page.locator("#actions li").first).to_contain_text("resume")
    expect(page.locator("#actions li").first).to_contain_text("operator on the operator's page")


def test_a_worker_is_drained_from_the_page(farm: Farm, page: Page) -> None:
    worker = page.locator("#gpus li")
    worker.get_by_role("button", name="Drain", exact=True).click()
    expect(worker.locator(".load")).to_contain_text("drained")
    assert drained(farm.queue) == {"cpu0@test-host"}
    worker.get_by_role("button", name="Undrain").click()
    wait_until(lambda: not drained(farm.queue))


def test_a_failed_task_is_found_with_its_traceback(farm: Farm, page: Page) -> None:
    with farm.client() as client:
        fine = client.submit("faults", "add", 1, 2)
        fine.result(timeout=PATIENCE)
        with pytest.raises(ValueError, match="no such prompt"):
            client.submit("faults", "fail").result(timeout=PATIENCE)
    page.get_by_label("Search all remembered tasks").fill("faults no such prompt failed")
    expect(row(page, "history", fine.id)).to_be_hidden()
    page.locator("#history li").first.get_by_role("button", name="Traceback").click()
    expect(page.locator("#details-text")).to_contain_text('raise ValueError("no such prompt")')
    page.get_by_role("button", name="Close").click()
    page.get_by_label("Search all remembered tasks").fill("")
    expect(row(page, "history", fine.id)).to_be_visible()


def test_a_space_is_loaded_from_the_page(farm: Farm, page: Page) -> None:
    farm.register("plain", SPACES / "plain" / "app.py")
    wait_until(lambda: not farm.queue.depth("large"))
    button = row(page, "spaces", "plain").get_by_role("button", name="Load now")
    button.click()
    expect(page.locator("#said")).to_contain_text(re.compile("plain is (loaded on cpu0@test-host|not loaded yet)"))
    expect(page.locator("#gpus .facts")).to_contain_text("plain")
    expect(button).to_be_hidden()
    assert [(each.verb, each.target) for each in Audit(farm.redis).latest(1)] == [("load", "plain")]


def test_a_space_is_pinned_and_unpinned_from_the_page(farm: Farm, page: Page) -> None:
    space = row(page, "spaces", "faults")
    space.get_by_role("button", name="Pin", exact=True).click()
    expect(space.locator(".facts")).to_contain_text("pinned")
    assert pinned(farm.queue) == {"faults"}
    space.get_by_role("button", name="Unpin").click()
    expect(space.locator(".facts")).not_to_contain_text("pinned")
    assert [(each.verb, each.target) for each in Audit(farm.redis).latest(2)] == [
        ("unpin", "faults"),
        ("pin", "faults"),
    ]


def test_what_the_file_pins_is_not_unpinned_from_the_page(farm: Farm, page: Page) -> None:
    farm.register("streaming")
    space = row(page, "spaces", "streaming")
    expect(space.locator(".facts")).to_contain_text("pinned by farm.toml")
    expect(space.get_by_role("button", name="Unpin")).to_be_hidden()


def test_a_failed_task_is_retried_from_the_page(farm: Farm, page: Page, tmp_path: Path) -> None:
    with farm.client() as client:
        failed = client.submit("faults", "read", str(tmp_path / "prompt"))
        with pytest.raises(FileNotFoundError):
            failed.result(timeout=PATIENCE)
        fine = client.submit("faults", "add", 1, 2)
        fine.result(timeout=PATIENCE)
        (tmp_path / "prompt").write_text("a cat")
        row(page, "history", failed.id).get_by_role("button", name="Retry").click()
        expect(page.locator("#said")).to_contain_text(f"task {failed.id[:8]} is queued again, as task ")
        [action] = Audit(farm.redis).latest(1)
        assert (action.verb, action.target) == ("retry", failed.id)
        again = client.task(action.detail.removeprefix("as "))
        assert again.result(timeout=PATIENCE) == "a cat"
    expect(row(page, "history", again.id).locator(".pill")).to_have_text("succeeded")
    expect(row(page, "history", fine.id).get_by_role("button", name="Retry")).to_be_hidden()


def test_the_log_of_a_space_is_shown_live(farm: Farm, page: Page) -> None:
    row(page, "spaces", "faults").get_by_role("button", name="Log").click()
    expect(page.locator("#details-text")).to_contain_text("the first line")
    with (farm.state_dir / "logs" / "web-faults.log").open("a") as log:
        log.write("<b>the second</b>\n")
    expect(page.locator("#details-text")).to_contain_text("<b>the second</b>")
    page.get_by_role("button", name="Close").click()


def test_ended_tasks_are_remembered_over_a_restart_of_the_broker(farm: Farm, page: Page) -> None:
    with farm.client() as client:
        ended = client.submit("faults", "add", 1, 2)
        ended.result(timeout=PATIENCE)
    expect(row(page, "history", ended.id)).to_be_visible()
    before = page.locator("#history li").count()
    farm.restart_broker()
    page.reload()
    expect(page.locator("#live")).to_have_text("Live")
    expect(page.locator("#history li")).to_have_count(before)


def test_charts_are_drawn(page: Page) -> None:
    expect(page.locator("#charts svg")).to_have_count(4)


def test_a_viewer_has_no_buttons_to_act(person: BrowserContext, address: str) -> None:
    page = logged_in(person, address, "vera", "a password")
    space = row(page, "spaces", "faults")
    expect(space.get_by_role("button", name="Log")).to_be_visible()
    expect(space.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_the_gallery_stays_public(person: BrowserContext, address: str) -> None:
    page = person.new_page()
    page.goto(address)
    expect(row(page, "spaces", "faults")).to_be_visible()


def test_the_page_fits_a_phone(person: BrowserContext, address: str, farm: Farm) -> None:
    page = logged_in(person, address, "vera", "a password")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", ["", "farm"])
def test_a_phone_shows_the_head_of_a_page_in_two_rows(page: Page, address: str, path: str) -> None:
    """The logo, and the state of the connection, stood alone in rows of their own."""
    tab = page.context.new_page()
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(f"{address}/{path}")
    expect(tab.locator("#live")).to_have_text("Live")
    logo, title, links, live = (_middle(tab.locator(part)) for part in (".logo", ".top > div", ".links", "#live"))
    assert abs(logo - title) < 2
    assert abs(links - live) < 2
    tab.close()


def _middle(part: Locator) -> float:
    box = part.bounding_box()
    assert box
    return box["y"] + box["height"] / 2
