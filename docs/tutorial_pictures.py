"""Takes the pictures of the tutorial in Chromium, by following it: `python -m docs.tutorial_pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from docs.pictures import WINDOW, browser, opened, save
from tests.guides.reader import Reader

READY = "The farm is ready"

SLOW = "4000"


def main() -> None:
    """Take all of them."""
    with (
        tempfile.TemporaryDirectory(prefix="zf-") as name,
        Reader(Path(name), "tutorial.md") as reader,
        browser() as chromium,
    ):
        follow(reader, chromium, f"http://127.0.0.1:{reader.port}")


def follow(reader: Reader, chromium: Browser, address: str) -> None:
    """The tutorial, as far as it has pictures."""
    space = f"{address}/spaces/julia/"
    reader.follow("A demo", "Two lines for the farm", "Start the farm")
    reader.waits_for(READY)
    save(drawn(opened(chromium, space, WINDOW)), "tutorial/space")
    home = opened(chromium, address, WINDOW)
    home.locator("li[data-key]").first.wait_for()
    save(home, "tutorial/home")
    queue(chromium, space)

    reader.follow("Change the demo")
    reader.waits_for("is served at revision")
    save(drawn(opened(chromium, space, WINDOW)), "tutorial/colours")
    reader.interrupt()

    reader.follow("An error")
    save(told(opened(chromium, space, WINDOW), "Error"), "tutorial/error")
    reader.follow("Find it, and go back")
    reader.interrupt()

    reader.follow("A quota")
    reader.waits_for(READY)
    save(told(opened(chromium, space, WINDOW), "GPU duration"), "tutorial/quota")


def queue(chromium: Browser, space: str) -> None:
    """Three visitors at once; the picture is the last one's."""
    pages = [opened(chromium, space, WINDOW) for _ in range(3)]
    for page in pages:
        page.get_by_label("number input for Steps").fill(SLOW)
        page.get_by_role("button", name="Submit").click()
    pages[-1].get_by_text("Queue:").first.wait_for()
    save(pages[-1], "tutorial/queue")
    for page in pages:
        page.context.close()


def drawn(page: Page) -> Page:
    """A page with a picture."""
    page.get_by_role("button", name="Submit").click()
    page.locator("img[src*='/file=']").first.wait_for()
    return page


def told(page: Page, words: str) -> Page:
    """Press the button of a page, and wait until it shows these words instead of a picture."""
    page.get_by_role("button", name="Submit").click()
    page.get_by_text(words).first.wait_for()
    page.wait_for_timeout(1000)  # it fades in
    return page


if __name__ == "__main__":
    main()
